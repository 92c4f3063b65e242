"""The README's verbs on a stranger's folder: few images, many classes, a class with one image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kdzoo.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a call gave."""

    code: int
    out: str
    err: str


@pytest.fixture
def kdzoo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """``kdzoo("train", "--model", …)`` in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        seen = capsys.readouterr()
        return Outcome(code, seen.out, seen.err)

    return call


def write_photos(root: Path, counts: list[int], size: tuple[int, int]) -> str:
    """So many training images of each class, of a colour that is the class's, and two held-out ones; no two alike."""
    number = 0
    for label, count in enumerate(counts):
        for split, images in (("train", count), ("val", 2)):
            folder = root / split / f"class{label:03d}"
            folder.mkdir(parents=True)
            for index in range(images):
                number += 1
                image = Image.new("RGB", size, (label * 37 % 256, label * 91 % 256, 20))
                spot = (number % 7, number % 9, 20 + number % 9, 24)
                ImageDraw.Draw(image).ellipse(spot, fill=(200, number % 256, number // 256))
                image.save(folder / f"{split}-{index}.png")
    return str(root)


SETS = {
    "12 images of 2 classes": ([11, 1], (48, 40)),
    "40 images of 40 classes": ([1] * 40, (32, 32)),
    "300 images of 100 classes": ([201, *[1] * 99], (40, 40)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_every_verb_starts_finishes_and_says_something_true(name: str, kdzoo: Callable[..., Outcome], tmp_path: Path):
    counts, size = SETS[name]
    photos = write_photos(tmp_path / "photos", counts, size)
    length = ("--epochs", "2") if sum(counts) > 12 else ("--budget", "quick")
    student = ("--student", "cifar_resnet8", "--data", photos)
    calls = {
        "teacher": ("train", "--model", "cifar_resnet8", "--data", photos, *length),
        "tuned": ("train", "--model", "teacher", "--data", photos, *length),
        "student": ("distill", *student, "--teacher", "teacher", "--epochs", "2"),
        "labels": ("label", "--teacher", "teacher", "--data", photos, "--epochs", "2"),
        "taught": ("distill", *student, "--labels", "labels"),
        "paper": ("distill", "--recipe", "hinton_kd", *student, "--teacher", "teacher", "--epochs", "2"),
    }
    assert kdzoo("data", "check", photos).code == 0
    for out, call in calls.items():
        seen = kdzoo(*call, "--out", out, "--trust-teacher", "--set", "run.workers=0")
        assert seen.code == 0, seen.err
        if out != "labels":
            result = json.loads((tmp_path / out / "result.json").read_text())
            assert result["steps"] >= result["epochs"] >= 1
    config = json.loads((tmp_path / "taught" / "config.json").read_text())
    assert config["settings"]["training.epochs"] == {"value": 2, "source": "as the labels in labels have it"}
    seen = kdzoo("eval", "teacher", "student", "taught", "--on", photos)
    assert seen.code == 0, seen.err
    assert kdzoo("predict", "student", f"{photos}/val", "--out", "names.csv").code == 0
    again = kdzoo(*calls["student"], "--out", "student", "--resume", "--set", "run.workers=0")
    assert again.code == 0, again.err


def test_weights_that_are_nowhere_are_one_line_and_a_hint(
    kdzoo: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    photos = write_photos(tmp_path / "photos", [5, 5], (40, 40))
    seen = kdzoo("train", "--model", "resnet18", "--data", photos)
    assert seen.code == 1
    *_, error, hint = seen.err.splitlines()
    assert error.startswith("error: timm/resnet18.a1_in1k is not in the local cache")
    assert hint.startswith("hint: where there is a network: hf download")
    assert hint.endswith("or start from random weights: --set student.init=random")


def test_the_stronger_place_gives_the_length(kdzoo: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr("kdzoo.cli.start.show", lambda planned, **_: found.append(planned.plan) or True)
    call = ("train", "--model", "cifar_resnet8", "--data", "digits", "--dry-run")
    monkeypatch.setenv("KDZOO_TRAIN_EPOCHS", "7")
    assert kdzoo(*call).code == 0
    assert kdzoo(*call, "--budget", "quick").code == 0
    assert found[0].recipe.training.epochs == 7
    assert found[1].sources["training.epochs"] == "data: 1,437 images, budget quick"
    seen = kdzoo(*call, "--budget", "quick", "--epochs", "3")
    assert seen.code == 2
    assert "a budget and a number of epochs are both given (--budget and --epochs)" in seen.err


def test_what_was_adapted_is_said_before_the_first_step(kdzoo: Callable[..., Outcome], tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", [20, 20], (32, 32))
    quick = ("--epochs", "1", "--set", "run.workers=0")
    seen = kdzoo(
        "train", "--recipe", "supervised", "--model", "cifar_resnet8", "--data", photos, "--out", "run", *quick
    )
    assert seen.code == 0, seen.err
    first, *lines = seen.err.splitlines()
    assert first == "supervised is adapted to this data (--exact keeps the paper's values):"
    assert lines[2] == "  training.batch_size: 1024 → 4 (40 images: a batch is at most a tenth of them)"


@pytest.mark.parametrize(
    ("given", "counts", "said"),
    [([], [40, 4], True), ([], [40, 5], False), (["--set", "objective.class_weights=balanced"], [40, 4], False)],
)
def test_classes_of_very_unequal_size_are_named_with_the_way_out(
    kdzoo: Callable[..., Outcome], tmp_path: Path, given: list[str], counts: list[int], said: bool
) -> None:
    photos = write_photos(tmp_path / "photos", counts, (40, 40))
    plan = kdzoo("train", "--model", "cifar_resnet8", "--data", photos, "--dry-run", "--json", *given)
    assert plan.code == 0, plan.err
    line = "classes have 4 to 40 images: rare ones are easily never answered; --set objective.class_weights=balanced"
    assert any(note.startswith(line) for note in json.loads(plan.out)["notes"]) == said
