"""`kdzoo data check`: what is wrong with a folder is found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kdzoo.base.errors import DataError
from kdzoo.data import check_source


def test_good_data() -> None:
    calls = []
    report = check_source("digits", workers=0, progress=lambda *args: calls.append(args))
    assert report.ok
    assert not report.warnings
    assert [(split.split, split.num_images, split.expected) for split in report.splits] == [
        ("train", 1437, (1437, 10)),
        ("val", 360, (360, 10)),
    ]
    assert sum(report.splits[1].class_counts.values()) == 360
    assert list(report.splits[0].class_counts) == list("0123456789")
    assert calls[-1] == ("val", 360, 360)
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_files_are_listed_with_reasons(class_folders: Path, workers: int) -> None:
    (class_folders / "train" / "dog" / "3.jpg").write_bytes(b"")
    (class_folders / "train" / "owl" / "0.jpg").write_bytes(b"a letter")
    (class_folders / "train" / "owl" / "notes.txt").write_text("not an image")
    report = check_source(str(class_folders), workers=workers)
    assert not report.ok
    assert [split.split for split in report.splits] == ["train", "val"]
    assert report.splits[0].class_counts == {"cat": 6, "dog": 6, "owl": 6}
    assert report.splits[0].num_ignored == 1
    assert [name for name, _ in report.splits[0].unreadable] == ["dog/3.jpg", "owl/0.jpg"]
    assert report.splits[0].unreadable[0][1] == "the file is empty"
    assert "not an image" in report.splits[0].unreadable[1][1]
    assert any("1 files are no images" in warning for warning in report.warnings)


def test_duplicates_between_train_and_val_are_a_warning(class_folders: Path) -> None:
    shutil.copy(class_folders / "train" / "cat" / "4.jpg", class_folders / "val" / "dog" / "copy.jpg")
    report = check_source(str(class_folders), workers=0)
    assert report.ok
    assert len(report.warnings) == 1
    assert "1 of 7 validation images also lie in train" in report.warnings[0]
    assert "dog/copy.jpg = cat/4.jpg" in report.warnings[0]


def test_unreadable_files_are_no_duplicates(class_folders: Path) -> None:
    for split in ("train", "val"):
        (class_folders / split / "cat" / "0.jpg").write_bytes(b"")
    assert not check_source(str(class_folders), workers=0).warnings


def test_class_folders_that_differ_or_are_empty(class_folders: Path) -> None:
    (class_folders / "val" / "owl").rename(class_folders / "val" / "bat")
    report = check_source(str(class_folders), workers=0)
    assert not report.ok
    assert len(report.problems) == 1
    assert "only in train/: owl; only in val/: bat" in report.problems[0]
    (class_folders / "val" / "bat").rename(class_folders / "val" / "owl")
    for file in (class_folders / "val" / "owl").iterdir():
        file.unlink()
    report = check_source(str(class_folders), workers=0)
    assert "class folders without images" in report.problems[0]
    assert [split.split for split in report.splits] == ["train"]


def test_flat_validation_folder(class_folders: Path) -> None:
    shutil.rmtree(class_folders / "val")
    shutil.copytree(class_folders / "train" / "cat", class_folders / "val")
    report = check_source(str(class_folders), workers=0)
    assert not report.ok
    assert "val is flat: 6 images" in report.problems[0]


def test_unlabeled_folder(class_folders: Path) -> None:
    (class_folders / "train" / "owl" / "5.jpg").write_bytes(b"")
    report = check_source(str(class_folders / "train"), workers=0, split="unlabeled")
    assert report.splits[0].num_images == 18
    assert report.splits[0].class_counts == {}
    assert len(report.splits[0].unreadable) == 1


def test_counts_that_are_not_official_are_a_warning(tmp_path: Path, make_picture) -> None:
    for split in ("train", "val"):
        for number in range(10):
            folder = tmp_path / split / str(number)
            folder.mkdir(parents=True)
            make_picture(number + 100 * (split == "val"), 32, 32).save(folder / "x.png")
    report = check_source(f"cifar10:{tmp_path}", workers=0)
    assert report.ok
    assert "the official cifar10 has 50,000 in 10" in report.warnings[0]


def test_cifar_files_that_are_not_official_are_a_warning(tmp_path: Path) -> None:
    import pickle

    import numpy as np

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for file in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 1, 2, 3]}
        (folder / file).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}, protocol=2))
    report = check_source(f"cifar10:{tmp_path}", workers=0)
    assert report.ok
    assert sum("its MD5 differs" in warning for warning in report.warnings) == 7


def test_nothing_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match="imagenet not found"):
        check_source("imagenet", workers=0)
    with pytest.raises(DataError, match="neither a known data set"):
        check_source("imagnet", workers=0)
