"""Sources: what is listed, in which order, with which labels, and what is said when it is not as it must be."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import ConcatSource, DataSpec, open_source, parse_data_spec


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_digits_split_is_fixed_and_stratified() -> None:
    train, val = open_source("digits", "train"), open_source("digits", "val")
    assert (len(train), len(val)) == (1437, 360)
    assert train.class_names == tuple("0123456789")
    assert train.native_size == (32, 32)
    assert not {train.identity(i) for i in range(1437)} & {val.identity(i) for i in range(360)}
    shares = np.bincount(val.labels) / (np.bincount(train.labels) + np.bincount(val.labels))
    assert np.all(np.abs(shares - 360 / 1797) < 0.004)
    # Pinned: a change here changes every number ever measured on digits.
    assert [val.identity(i) for i in range(5)] == ["scan_0001", "scan_0003", "scan_0006", "scan_0010", "scan_0016"]
    assert train.fingerprint()[:16] == "81f7efd97f4364f4"


def test_digits_images_are_the_scans() -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    scans = load_digits().images
    train = open_source("digits", "train")
    for index in (0, 700, 1436):
        image = train.load(index)
        assert image.size == (32, 32)
        assert image.mode == "RGB"
        scan = scans[int(train.identity(index).removeprefix("scan_"))]
        expected = Image.fromarray(np.round(scan * 255 / 16).astype(np.uint8)).resize((32, 32), Image.BILINEAR)
        for channel in image.split():
            assert np.array_equal(np.asarray(channel), np.asarray(expected))


def test_a_drawn_split_of_few_labels_shares_no_scan_and_depends_on_its_seed_alone() -> None:
    parts = {split: open_source("digits@few-3", split) for split in ("train", "unlabeled", "val")}
    names = {split: {part.identity(i) for i in range(len(part))} for split, part in parts.items()}
    assert {split: len(found) for split, found in names.items()} == {"train": 70, "unlabeled": 1000, "val": 727}
    assert len(set.union(*names.values())) == 1797
    assert np.bincount(parts["train"].labels).tolist() == [7] * 10
    assert set(parts["unlabeled"].labels.tolist()) == {-1}
    full, val = open_source("digits@full-3", "train"), open_source("digits@full-3", "val")
    assert {full.identity(i) for i in range(len(full))} == names["train"] | names["unlabeled"]
    assert val.fingerprint() == parts["val"].fingerprint()
    assert full.labels.min() == 0
    assert open_source("digits@few-3", "train").fingerprint() == parts["train"].fingerprint()
    assert open_source("digits@few-4", "train").fingerprint() != parts["train"].fingerprint()


@pytest.mark.parametrize("part", ["few", "few-", "3", "few--1", "some-1", "few-1.5"])
def test_an_unknown_part_of_the_digits_is_refused(part: str) -> None:
    with pytest.raises(UsageError, match="digits have no part") as caught:
        open_source(f"digits@{part}", "train")
    assert "digits@few-0" in str(caught.value.hint)


def test_unlabeled_digits_are_the_training_images() -> None:
    unlabeled, train = open_source("digits", "unlabeled"), open_source("digits", "train")
    assert unlabeled.class_names == ()
    assert set(unlabeled.labels.tolist()) == {-1}
    assert [unlabeled.identity(i) for i in range(9)] == [train.identity(i) for i in range(9)]


def test_class_folders(class_folders: Path) -> None:
    train = open_source(str(class_folders), "train")
    assert train.class_names == ("cat", "dog", "owl")
    assert train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert train.identity(7) == "dog/1.jpg"
    assert train.load(7).size == (48, 40)
    assert train.description() == {
        "name": "pets",
        "split": "train",
        "num_images": 18,
        "num_classes": 3,
        "path": str(class_folders / "train"),
    }
    assert not train.labels.flags.writeable
    assert len(open_source(str(class_folders), "val")) == 6
    # Class folders given directly serve whichever split is asked for.
    assert len(open_source(str(class_folders / "val"), "train")) == 6


@pytest.mark.parametrize("name", ["valid", "test"])
def test_other_names_of_the_validation_folder(class_folders: Path, name: str) -> None:
    (class_folders / "val").rename(class_folders / name)
    assert len(open_source(str(class_folders), "val")) == 6


def test_a_missing_split_is_named(class_folders: Path) -> None:
    (class_folders / "val").rename(class_folders / "elsewhere")
    with pytest.raises(DataError, match="has no folder val/"):
        open_source(str(class_folders), "val")


def test_numeric_class_folders_are_ordered_as_numbers(tmp_path: Path) -> None:
    for number in (0, 2, 10, 100, 9):
        _touch(tmp_path / str(number) / "x.jpg")
    assert open_source(str(tmp_path), "val").class_names == ("0", "2", "9", "10", "100")


def test_different_classes_in_the_splits_are_named(class_folders: Path) -> None:
    (class_folders / "val" / "owl").rename(class_folders / "val" / "bat")
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"only in train/: owl; only in val/: bat"):
            open_source(str(class_folders), split)


def test_empty_class_folders_are_named(class_folders: Path) -> None:
    for file in (class_folders / "train" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"class folders without images .*: dog"):
        open_source(str(class_folders), "train")


def test_no_images_and_flat_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images in"):
        open_source(str(tmp_path), "train")
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no images in"):
        open_source(str(tmp_path), "train")
    _touch(tmp_path / "train" / "cat" / "1.jpg")
    for index in range(3):
        _touch(tmp_path / "val" / f"{index}.jpg")
    with pytest.raises(DataError, match=r"is flat: 3 images and no class folders"):
        open_source(str(tmp_path), "val")


def test_listing_follows_links_and_leaves_out_what_is_no_image(tmp_path: Path, class_folders: Path) -> None:
    root = tmp_path / "linked"
    (root / "a" / "deeper").mkdir(parents=True)
    (root / "a" / "link.JPG").symlink_to(class_folders / "train" / "cat" / "0.jpg")
    (root / "a" / "loop").symlink_to(root / "a")
    (root / "b").symlink_to(class_folders / "train" / "dog")
    for name in (".hidden.jpg", "notes.txt", "deeper/Thumbs.db", "deeper/x.png"):
        _touch(root / "a" / name)
    source = open_source(str(root), "train")
    assert source.class_names == ("a", "b")
    assert [source.identity(i) for i in range(3)] == ["a/deeper/x.png", "a/link.JPG", "b/0.jpg"]
    assert source.load(1).size == (48, 40)
    assert sum(source.left_out.values()) == 2


def test_unlabeled_folder_is_recursive_and_sorted(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a.png", "b/c/1.webp", "b/10.jpg"):
        _touch(tmp_path / name)
    source = open_source(str(tmp_path), "unlabeled")
    assert [source.identity(i) for i in range(4)] == ["a.png", "b/10.jpg", "b/2.jpg", "b/c/1.webp"]
    assert source.labels.tolist() == [-1] * 4
    assert source.class_names == ()


def test_unlabeled_never_takes_the_validation_images(class_folders: Path) -> None:
    assert len(open_source(str(class_folders), "unlabeled")) == 18


def test_unlabeled_folder_without_images(tmp_path: Path) -> None:
    _touch(tmp_path / "readme.txt")
    with pytest.raises(DataError, match=r"no images under .* \(1 other files\)"):
        open_source(str(tmp_path), "unlabeled")


def test_fingerprint_sees_files_labels_and_names(class_folders: Path) -> None:
    first = open_source(str(class_folders), "train").fingerprint()
    assert first == open_source(str(class_folders), "train").fingerprint()
    (class_folders / "train" / "dog" / "1.jpg").rename(class_folders / "train" / "dog" / "1b.jpg")
    second = open_source(str(class_folders), "train").fingerprint()
    (class_folders / "train" / "dog" / "1b.jpg").rename(class_folders / "train" / "cat" / "1b.jpg")
    third = open_source(str(class_folders), "train").fingerprint()
    assert len({first, second, third}) == 3


def test_non_ascii_and_undecodable_names(tmp_path: Path) -> None:
    import os

    _touch(tmp_path / "é" / "日本.jpg")
    with open(os.fsencode(tmp_path / "é") + b"/\xff.jpg", "wb") as file:
        file.write(b"x")
    source = open_source(str(tmp_path), "train")
    assert len(source) == 2
    assert len(source.fingerprint()) == 64


def test_concat(class_folders: Path) -> None:
    train = open_source(str(class_folders), "train")
    both = ConcatSource([train, open_source("digits", "unlabeled")])
    assert len(both) == 18 + 1437
    assert both.class_names == train.class_names
    assert both.labels[17] == 2
    assert both.labels[18] == -1
    assert both.identity(17) == "pets/train/owl/5.jpg"
    assert both.identity(18) == "digits/unlabeled/scan_0000"
    assert both.load(18).size == (32, 32)
    assert both.native_size is None
    with pytest.raises(ValueError, match="class names differ"):
        ConcatSource([train, open_source("digits", "train")])


def _imagenet(root: Path, num_classes: int) -> Path:
    for split in ("train", "val"):
        for index in range(num_classes):
            _touch(root / split / f"n{index:08d}" / f"{split}.JPEG")
    return root


def test_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _imagenet(tmp_path / "imagenet", 1000)
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    source = open_source("imagenet", "val")
    assert source.class_names[999] == "n00000999"
    assert source.labels.tolist() == list(range(1000))
    assert source.identity(3) == "n00000003/val.JPEG"


def test_imagenet_subset_is_explained(tmp_path: Path) -> None:
    _imagenet(tmp_path, 3)
    with pytest.raises(DataError, match="has 3 class folders, ImageNet-1k has 1,000") as caught:
        open_source(f"imagenet:{tmp_path}", "val")
    assert f"--data {tmp_path}" in str(caught.value.hint)
    assert len(open_source(str(tmp_path), "val").class_names) == 3


def test_imagenet_flat_val_is_explained(tmp_path: Path) -> None:
    for index in range(5):
        _touch(tmp_path / "val" / f"ILSVRC2012_val_{index:08d}.JPEG")
    with pytest.raises(DataError, match="val is flat: 5 images") as caught:
        open_source(f"imagenet:{tmp_path}", "val")
    assert "valprep.sh" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["imagenet", "cifar10", "cifar100"])
def test_missing_data_says_where_and_how(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"{name} not found: looked for {tmp_path / name}") as caught:
        open_source(name, "train")
    assert "`digits` is embedded" in str(caught.value.hint)
    monkeypatch.delenv("KDZOO_DATA")
    with pytest.raises(DataError, match="KDZOO_DATA is not set"):
        open_source(name, "train")


def _cifar_batches(root: Path, name: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 3072), dtype=np.uint8)
    if name == "cifar10":
        folder, files, key = "cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"], "labels"
        meta, names = "batches.meta", {"label_names": [f"class {i}" for i in range(10)]}
    else:
        folder, files, key, meta = "cifar-100-python", ["train", "test"], "fine_labels", "meta"
        names = {"fine_label_names": [f"class {i}" for i in range(100)]}
    (root / folder).mkdir()
    for file, rows in zip(files, np.split(np.arange(60), len(files)), strict=True):
        batch = {"data": pixels[rows], key: [int(row % 10) for row in rows], "batch_label": file}
        (root / folder / file).write_bytes(pickle.dumps(batch, protocol=2))
    (root / folder / meta).write_bytes(pickle.dumps(names, protocol=2))
    return pixels


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_batches(name: str, tmp_path: Path) -> None:
    pixels = _cifar_batches(tmp_path, name)
    train, val = open_source(f"{name}:{tmp_path}", "train"), open_source(f"{name}:{tmp_path}", "val")
    num_train = 50 if name == "cifar10" else 30
    assert (len(train), len(val)) == (num_train, 60 - num_train)
    assert len(train.class_names) == int(name[5:])
    image = np.asarray(train.load(13))
    assert np.array_equal(image, pixels[13].reshape(3, 32, 32).transpose(1, 2, 0))
    assert train.labels[13] == 3
    assert np.array_equal(np.asarray(val.load(0))[0, 1], pixels[num_train].reshape(3, 32, 32)[:, 0, 1])
    assert train.native_size == (32, 32)
    unlabeled = open_source(f"{name}:{tmp_path}", "unlabeled")
    assert len(unlabeled) == num_train
    assert set(unlabeled.labels.tolist()) == {-1}


class _Payload:
    def __reduce__(self) -> tuple:
        return (print, ("executed",))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"data": _Payload(), "labels": []}, protocol=2),
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}, protocol=2),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [11]}, protocol=2),
        b"garbage",
        b"",
    ],
)
def test_damaged_or_hostile_cifar_files_are_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _cifar_batches(tmp_path, "cifar10")
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*data_batch_2: "):
        open_source(f"cifar10:{tmp_path}", "train")
    assert capsys.readouterr().out == ""


def test_cifar_as_image_files(class_folders: Path) -> None:
    with pytest.raises(DataError, match="has 3 class folders, cifar10 has 10"):
        open_source(f"cifar10:{class_folders}", "train")
    for split in ("train", "val"):
        for number in range(7):
            _touch(class_folders / split / f"x{number}" / "1.png")
    source = open_source(f"cifar10:{class_folders}", "train")
    assert source.name == "cifar10"
    assert source.native_size == (32, 32)


def test_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_data_spec("digits") == DataSpec("digits", None)
    assert parse_data_spec("imagenet:/data/in1k") == DataSpec("imagenet", Path("/data/in1k"))
    assert str(parse_data_spec("imagenet:/data/in1k")) == "imagenet:/data/in1k"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert parse_data_spec("./digits").name == "folder"
    assert parse_data_spec("digits").name == "digits"
    with pytest.raises(DataError, match="neither a known data set nor an existing folder") as caught:
        parse_data_spec("cifar-10")
    assert "did you mean 'cifar10'?" in str(caught.value.hint)
    for bad in ("", "digits:/x", "cifar10:"):
        with pytest.raises(UsageError):
            parse_data_spec(bad)
    with pytest.raises(UsageError, match="unknown split"):
        open_source("digits", "test")
