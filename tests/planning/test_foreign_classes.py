"""Teachers whose classes have another order than the data's: brought into it by name, by an order, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import kdzoo
from kdzoo.base.errors import KdzooError, TeacherError, UsageError
from kdzoo.data import LabelStore, open_source
from kdzoo.engine.class_match import match_classes
from kdzoo.zoo import load_model

STORED = Path(__file__).resolve().parents[1] / "references" / "digits_teacher"
NAMES = [f"digit{number + 1}" for number in range(10)]  # by number; by string digit10 is the second


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in class folders, 60 to train on and all 360 to evaluate on."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 60), ("val", 360)):
        digits = open_source("digits", split)
        for index in range(count):
            folder = root / split / NAMES[int(digits.labels[index])]
            folder.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(folder / f"{index:04d}.png")
    return root


@pytest.fixture
def make_teacher(tmp_path: Path) -> Callable[..., str]:
    """The stored teacher of the digits, with other class names, or none."""

    def make(names: list[str] | None, name: str = "teacher") -> str:
        shutil.copytree(STORED, tmp_path / name)
        path = tmp_path / name / "config.json"
        config = json.loads(path.read_text())
        del config["label_names"]
        if names is not None:
            config["label_names"] = names
        path.write_text(json.dumps(config))
        return f"local-dir:{tmp_path / name}"

    return make


def label(teachers: list[str], photos: Path, out: Path, **more: Any) -> LabelStore:
    kdzoo.label(
        "hinton_kd",
        teachers=teachers,
        data=str(photos),
        image_size=16,
        epochs=1,
        batch_size=10,
        workers=0,
        device="cpu",
        out=out,
        settings={"data.augmentation.crop": "center", "data.augmentation.hflip_prob": 0},
        **more,
    )
    return LabelStore(out)


def top1(store: LabelStore) -> list[float]:
    return [report["top1"] for report in store.head.reports]


def epoch(store: LabelStore) -> bytes:
    return (store.folder / "epoch-00000.labels").read_bytes()


def test_a_teacher_without_names_in_another_order_is_not_started_with(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    teacher = make_teacher(None)
    with pytest.raises(TeacherError, match=r"does not name its 10 classes.*fit the natural order") as caught:
        label([teacher], photos, tmp_path / "labels")
    assert "--teacher-classes natural" in str(caught.value.hint)
    assert not list((tmp_path / "labels").glob("epoch-*"))


def test_names_an_order_and_a_file_give_the_same_answers(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    named, unnamed = make_teacher(NAMES, "named"), make_teacher(None, "unnamed")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n")
    by_name = label([named], photos, tmp_path / "a")
    by_order = label([unnamed], photos, tmp_path / "b", teacher_classes=["natural"])
    by_file = label([unnamed], photos, tmp_path / "c", teacher_classes=[str(tmp_path / "classes.txt")])
    assert epoch(by_name) == epoch(by_order) == epoch(by_file)
    assert min(top1(by_name)) > 60  # 81.7 % in its own run; 10 % is chance
    assert by_name.head.teachers[0].outputs == 10
    assert "another order" in by_name.head.reports[0]["class_order"]
    # Another order's labels are other labels, whoever wrote the same weights.
    with pytest.raises(KdzooError):
        label([unnamed], photos, tmp_path / "b", teacher_classes=["data"], trust_teacher=True, resume=True)


def test_the_teachers_of_an_ensemble_have_an_order_each(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    first, second = make_teacher(None, "first"), make_teacher(None, "second")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n")
    both = label([first, second], photos, tmp_path / "a", teacher_classes=["natural", str(tmp_path / "classes.txt")])
    assert min(top1(both)) > 60
    with pytest.raises(UsageError, match="3 orders of classes for 2 teachers"):
        label([first, second], photos, tmp_path / "b", teacher_classes=["natural"] * 3)
    with pytest.raises(UsageError, match="every teacher names its classes"):
        label([make_teacher(NAMES, "third")], photos, tmp_path / "c", teacher_classes=["natural"])


def test_a_run_learns_what_the_labels_say_and_its_student_has_the_datas_names(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {
        "student": "cifar_resnet8",
        "data": str(photos),
        "image_size": 16,
        "epochs": 1,
        "batch_size": 10,
        "workers": 0,
        "device": "cpu",
        "settings": {"data.augmentation.crop": "center", "data.augmentation.hflip_prob": 0},
    }
    teacher = make_teacher(NAMES)
    store = label([teacher], photos, tmp_path / "labels")
    live = kdzoo.distill("hinton_kd", teachers=[teacher], out=tmp_path / "live", **how)
    stored = kdzoo.distill("hinton_kd", labels=store.folder, out=tmp_path / "stored", **how)
    weights = [(Path(run.model) / "model.safetensors").read_bytes() for run in (live, stored)]
    assert weights[0] == weights[1]
    assert load_model(str(tmp_path / "live")).class_names == tuple(sorted(NAMES))


def test_a_teacher_of_more_classes_answers_for_the_datas(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    for split in ("train", "val"):
        for name in (NAMES[9], NAMES[3], NAMES[0]):
            shutil.copytree(photos / split / name, few / split / name)
    store = label([make_teacher(NAMES)], few, tmp_path / "labels")
    assert store.head.teachers[0].outputs == 3
    assert min(top1(store)) > 60
    assert "3 of the 10 classes" in store.head.reports[0]["class_order"]


def test_a_class_that_the_teacher_lacks_is_named(
    make_teacher: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(TeacherError, match=r"among them 'digit7', which the model does not know"):
        label([make_teacher([*NAMES[:6], "seven", *NAMES[7:]])], photos, tmp_path / "labels")
    (tmp_path / "nine.txt").write_text("\n".join(NAMES[:9]))
    with pytest.raises(TeacherError, match=r"has 10 classes, .*nine.txt has 9"):
        label([make_teacher(None, "unnamed")], photos, tmp_path / "l", teacher_classes=[str(tmp_path / "nine.txt")])


def test_eval_takes_the_same_orders(make_teacher: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    teacher = make_teacher(None)
    how: dict[str, Any] = {"workers": 0, "device": "cpu"}
    right = kdzoo.evaluate(teacher, str(photos), classes="natural", **how)[0].metrics["top1"]
    wrong = kdzoo.evaluate(teacher, str(photos), trust_classes=True, **how)[0].metrics["top1"]
    assert right > 60
    assert wrong < 40
    assert right == kdzoo.evaluate(make_teacher(NAMES, "named"), str(photos), **how)[0].metrics["top1"]
    assert match_classes(load_model(teacher), open_source(str(photos), "val"), order="string").kind == "same"
