"""``kdzoo label`` and ``kdzoo distill --labels`` as a user calls them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kdzoo as front_door
from kdzoo.data import open_source
from kdzoo.zoo import load_model, save_model

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with digits in train/ and val/, and a teacher."""
    root = tmp_path_factory.mktemp("place")
    for split, count in (("train", 50), ("val", 40)):
        digits = open_source("digits", split)
        for index in range(count):
            folder = root / "data" / split / str(int(digits.labels[index]))
            folder.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(folder / f"{index:04d}.png")
    save_model(load_model("cifar_resnet8", num_classes=10, seed=1), root / "teacher", provenance={})
    return root


def common(place: Path, *more: str) -> list[str]:
    return [
        *("--recipe", "meal_v2", "--variant", "small_images", "--data", str(place / "data"), "--image-size", "16"),
        *("--epochs", "1", "--batch-size", "16", "--workers", "0", "--device", "cpu", "--trust-teacher", *more),
    ]


def label(place: Path, *more: str) -> list[str]:
    return ["label", *common(place, "--teacher", str(place / "teacher"), "--out", "labels", *more)]


def refused(outcome: Any, code: int) -> tuple[str, str]:
    """The error and its hint."""
    assert outcome.code == code, outcome.err
    said = [line for line in outcome.err.splitlines() if line.startswith(("error:", "hint:", "Traceback"))]
    assert [line.split(":")[0] for line in said] == ["error", "hint"], outcome.err
    return said[0], said[1]


def test_labels_are_stored_once_and_students_learn_without_the_teacher(kdzoo: Call, place: Path) -> None:
    teacher = shutil.copytree(place / "teacher", "teacher")
    stored = kdzoo("label", *common(place, "--teacher", "teacher", "--out", "labels", "--json"))
    assert stored.code == 0, stored.err
    result = json.loads(stored.out)
    assert (result["epochs"], result["num_labels"], result["bytes_per_label"]) == (1, 50, 44)
    assert sorted(path.name for path in Path("labels").glob("[!.]*")) == [
        "environment.json",
        "epoch-00000.labels",
        "labels.json",
    ]
    shutil.rmtree(teacher)
    for student in ("cifar_resnet8", "cifar_resnet14"):
        call = common(place, "--student", student, "--labels", "labels", "--out", student)
        planned = kdzoo("distill", *call, "--dry-run")
        assert planned.code == 0, planned.err
        assert "not run, labels stored in labels: teacher" in planned.out
        trained = kdzoo("distill", *call)
        assert trained.code == 0, trained.err
        assert "teacher teacher: not run, its labels are in labels" in trained.err


def test_the_dry_run_says_what_it_takes_and_stores_nothing(kdzoo: Call, place: Path) -> None:
    shown = kdzoo(*label(place, "--dry-run", "--form", "top5"))
    assert shown.code == 0, shown.err
    assert "labels     50 an epoch, 1 epochs" in shown.out
    assert "1.3 kB: 26 bytes a label (top5)" in shown.out
    document = json.loads(kdzoo(*label(place, "--dry-run", "--json")).out)
    assert document["cost"]["bytes"] == 50 * 44
    assert document["cost"]["images_per_s"] > 0
    assert not Path("labels").exists()


def test_stages_have_labels_of_their_own(kdzoo: Call, place: Path) -> None:
    ssld = ["label", *common(place, "--teacher", str(place / "teacher"), "--out", "labels")]
    ssld[2] = "ssld"
    planned = kdzoo(*ssld, "--dry-run")
    assert planned.code == 0, planned.err
    assert planned.out.count("folder") == 2
    (document,) = json.loads(kdzoo(*ssld, "--stage", "finetune", "--dry-run", "--json").out)
    assert document["out"] == "labels/finetune"
    one = kdzoo(*ssld, "--stage", "finetune", "--json")
    assert one.code == 0, one.err
    assert json.loads(one.out)[0]["labels"] == "labels/finetune"
    call = ["distill", *common(place, "--student", "cifar_resnet8", "--labels", "labels", "--out", "run")]
    call[2] = "ssld"
    error, _ = refused(kdzoo(*call), 1)
    assert "labels/distil is not there" in error
    assert kdzoo(*ssld, "--stage", "distil").code == 0
    outcome = kdzoo(*call)
    assert outcome.code == 0, outcome.err


def test_bad_input_is_said_in_two_lines(kdzoo: Call, place: Path) -> None:
    assert kdzoo(*label(place)).code == 0
    error, hint = refused(kdzoo(*label(place)), 1)
    assert "labels already holds labels" in error
    assert "--resume" in hint
    distill = ["distill", *common(place, "--student", "cifar_resnet8", "--labels", "labels", "--out", "run")]
    error, hint = refused(kdzoo(*distill, "--seed", "7"), 1)
    assert "run.seed was 0, is 7" in error
    assert "--seed 0" in hint
    assert refused(kdzoo(*distill, "--seed", "7", "--dry-run"), 1) == (error, hint)
    error, hint = refused(kdzoo(*distill, "--epochs", "3"), 1)
    assert "holds the labels of 1 epochs, the run has 3" in error
    assert "--epochs 3 --resume" in hint
    assert "not of resnet50" in refused(kdzoo(*distill, "--teacher", "resnet50.a1_in1k"), 2)[0]
    assert "nowhere is not there" in refused(kdzoo(*distill, "--labels", "nowhere"), 1)[0]
    assert "unknown form 'int4'" in refused(kdzoo(*label(place, "--form", "int4", "--out", "other")), 2)[0]
    supervised = ["label", "--recipe", "supervised", *common(place, "--out", "other")[2:]]
    assert "uses no teachers" in refused(kdzoo(*supervised), 2)[0]
    Path("labels/labels.json").write_text("{")
    assert "labels.json is damaged" in refused(kdzoo(*distill), 1)[0]
    assert "labels.json is damaged" in refused(kdzoo(*label(place, "--resume")), 1)[0]
    assert not Path("run").exists()
    assert not Path("other").exists()


def test_an_epoch_is_added_by_resuming(kdzoo: Call, place: Path) -> None:
    assert kdzoo(*label(place)).code == 0
    more = kdzoo(*label(place, "--resume", "--epochs", "2"))
    assert more.code == 0, more.err
    assert "going on after step 0 of epoch 2" in more.err
    assert "epochs  2" in more.out


def test_the_function_does_what_the_verb_does(kdzoo: Call, place: Path) -> None:
    assert kdzoo(*label(place)).code == 0
    how: dict[str, Any] = {
        "variants": ["small_images"],
        "data": str(place / "data"),
        "image_size": 16,
        "epochs": 1,
        "batch_size": 16,
        "workers": 0,
        "device": "cpu",
        "trust_teacher": True,
    }
    (result,) = front_door.label("meal_v2", teachers=[str(place / "teacher")], out="by_function", **how)
    assert isinstance(result, front_door.LabelResult)
    assert Path("by_function/labels.json").read_bytes() == Path("labels/labels.json").read_bytes()
    student = front_door.distill("meal_v2", student="cifar_resnet8", labels="by_function", out="run", **how)
    assert student.steps == 50 // 16
