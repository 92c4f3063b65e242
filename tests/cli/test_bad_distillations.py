"""What cannot be distilled, said as a user sees it: one line what, one what to do, nothing written; and what can."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kdzoo.data import open_source
from kdzoo.zoo import load_model, save_model
from kdzoo.zoo.generators import save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator

Call = Callable[..., Any]
CLASSES = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with digits in train/ and val/, photos/ with others and copies of val/'s first two, a teacher."""
    root = tmp_path_factory.mktemp("place")
    for split, count in (("train", 48), ("val", 40)):
        digits = open_source("digits", split)
        for index in range(count):
            folder = root / "data" / split / str(int(digits.labels[index]))
            folder.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(folder / f"{index:04d}.png")
    photos = root / "photos"
    photos.mkdir()
    others, val = open_source("digits", "train"), open_source("digits", "val")
    for index in range(48, 72):
        others.load(index).save(photos / f"{index:04d}.png")
    val.load(0).resize((48, 48), Image.Resampling.BICUBIC).save(photos / "copy-0.png")
    val.load(1).save(photos / "copy-1.png")
    teacher = load_model("cifar_resnet8", pretrained=False, num_classes=CLASSES, seed=1)
    teacher.model.fc.weight.data *= 20
    save_model(teacher, root / "teacher", provenance={})
    return root


def arguments(place: Path, recipe: str, *more: str) -> list[str]:
    return [
        *("distill", "--recipe", recipe, "--data", str(place / "data"), "--teacher", str(place / "teacher")),
        *("--student", "cifar_resnet8", "--image-size", "16", "--epochs", "1", "--batch-size", "16"),
        *("--set", "data.augmentation.crop=center", "--workers", "0", "--device", "cpu", "--trust-teacher"),
        *("--out", "run", *more),
    ]


def refused(kdzoo: Call, *call: str) -> tuple[str, str]:
    """The error and its hint; nothing was begun."""
    outcome = kdzoo(*call)
    assert outcome.code in (1, 2), outcome.err
    said = [line for line in outcome.err.splitlines() if line.startswith(("error:", "hint:", "Traceback"))]
    assert [line.split(":")[0] for line in said] == ["error", "hint"], outcome.err
    assert call[0] == "data" or not list(Path("run").rglob("*.safetensors"))
    return said[0], said[1]


def test_an_unlabeled_folder_with_no_image(kdzoo: Call, place: Path) -> None:
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("none")
    error, hint = refused(kdzoo, *arguments(place, "ssld", "--unlabeled", "empty"))
    assert "no images under empty (1 other files)" in error
    assert "JPEG" in hint


def curated(kdzoo: Call, place: Path, photos: Path) -> Path:
    outcome = kdzoo(
        *("curate", "--unlabeled", str(photos), "--against", str(place / "data"), "--teacher", str(place / "teacher")),
        *("--out", "curated", "--top", "3", "--batch-size", "8", "--workers", "0", "--device", "cpu", "--json"),
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["num_images"] == 26
    return Path("curated/manifest.jsonl")


def test_from_photos_to_a_student_by_way_of_a_manifest(kdzoo: Call, place: Path) -> None:
    manifest = curated(kdzoo, place, place / "photos")
    head, *rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    chosen = [row["id"] for row in rows]
    assert 3 <= len(chosen) == head["num_images"] <= 24
    assert not {"copy-0.png", "copy-1.png"} & set(chosen)
    outcome = kdzoo(*arguments(place, "ssld", "--unlabeled", str(manifest), "--json"))
    assert outcome.code == 0, outcome.err
    config = json.loads(Path("run/1-distil/config.json").read_text())
    assert config["train_data"]["num_images"] == 48 + len(chosen)
    assert config["train_data"]["parts"][1]["name"] == "manifest"
    assert json.loads(Path("run/2-finetune/config.json").read_text())["train_data"]["num_images"] == 48
    lines = [json.loads(line) for line in Path("run/1-distil/metrics.jsonl").read_text().splitlines()]
    assert max(line["step"] for line in lines) == (48 + len(chosen)) // 16
    assert load_model("run").num_classes == CLASSES


def test_a_manifest_whose_files_are_gone(kdzoo: Call, place: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(place / "photos", tmp_path / "photos"))
    manifest = curated(kdzoo, place, photos)
    shutil.rmtree(photos)
    before = manifest.read_bytes()
    error, hint = refused(kdzoo, *arguments(place, "ssld", "--unlabeled", str(manifest)))
    assert f"files looked for of the manifest {manifest} are gone, such as {photos}" in error
    assert "curate again" in hint
    assert manifest.read_bytes() == before


def test_a_transfer_set_is_written_by_a_generator_and_distilled_on(kdzoo: Call, place: Path) -> None:
    save_generator(ConditionalGenerator(CLASSES, 16, 4, 6, 7), "generator", {})
    for said in ("20 written, 0 were there", "0 written, 20 were there"):
        outcome = kdzoo("data", "generate", "generator", "set", "--num-images", "20")
        assert outcome.code == 0, outcome.err
        assert said in outcome.out
    outcome = kdzoo(*arguments(place, "xcl_gan", "--variant", "offline", "--unlabeled", "set"))
    assert outcome.code == 0, outcome.err
    assert "there is no generator" in refused(kdzoo, "data", "generate", "nowhere", "other")[0]
    assert not Path("other").exists()


def test_a_generator_with_another_class_count(kdzoo: Call, place: Path) -> None:
    save_generator(ConditionalGenerator(7, 16, 4, 6, 7), "generator", {})
    error, hint = refused(kdzoo, *arguments(place, "xcl_gan", "--set", "objective.generator=generator"))
    assert "generator has 7 classes, the data has 10" in error
    assert "class_gan" in hint


def test_a_transfer_set_that_is_missing_or_too_small(kdzoo: Call, place: Path) -> None:
    error, hint = refused(kdzoo, *arguments(place, "xcl_gan", "--variant", "offline"))
    assert "needs a stored transfer set" in error
    assert "--unlabeled" in hint
    Path("few").mkdir()
    Image.new("RGB", (16, 16)).save("few/0.png")
    error, hint = refused(kdzoo, *arguments(place, "xcl_gan", "--variant", "offline", "--unlabeled", "few"))
    assert "a batch of 16 needs 8 unlabeled images, there are 1" in error


def test_a_bank_larger_than_memory(kdzoo: Call, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("meminfo").write_text("MemAvailable: 24000 kB\n")
    monkeypatch.setattr("kdzoo.planning.memory._HOST", Path("meminfo").absolute())
    size = ("--set", "objective.contrast.embedding_dim=65536", "--set", "objective.contrast.num_negatives=16")
    error, hint = refused(kdzoo, *arguments(place, "crd", *size))
    assert "CRD, 2 banks of 48 × 65536" in error
    assert "do not fit" in error
    assert hint.strip() != "hint:"


def test_stages_out_of_order(kdzoo: Call, place: Path) -> None:
    error, hint = refused(kdzoo, *arguments(place, "ssld", "--stage", "finetune"))
    assert "stages out of order: finetune starts from the student of distil" in error
    assert "--stage distil" in hint


def test_a_binary_student_that_cannot_take_the_weights(kdzoo: Call, place: Path) -> None:
    plain = load_model("cifar_resnet18", pretrained=False, num_classes=CLASSES, seed=1)
    save_model(plain, Path("plain"), provenance={})
    config = json.loads(Path("plain/config.json").read_text())
    Path("plain/config.json").write_text(json.dumps({**config, "architecture": "cifar_binary_resnet18"}))
    given = ("--variant", "cifar_binary", "--student", "local-dir:plain", "--set", "student.init=pretrained")
    error, hint = refused(kdzoo, *arguments(place, "xcl_mix", *given))
    assert "plain" in error
    assert "cifar_binary_resnet18" in error
    assert hint.strip() != "hint:"
    given = ("--variant", "cifar_binary", "--student", "cifar_binary_resnet18", "--set", "student.init=pretrained")
    error, hint = refused(kdzoo, *arguments(place, "xcl_mix", *given))
    assert "cifar_binary_resnet18" in error
