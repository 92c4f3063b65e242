"""The transfer data sets: their own layouts are read, and what is wrong with one is said in a line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transfer_trees import COUNTS, TREES, class_folders, picture, write

from kdzoo.base.errors import DataError, KdzooError, UsageError
from kdzoo.data import check_source, open_source
from kdzoo.data.expected_counts import EXPECTED_COUNTS
from kdzoo.data.official_classes import OFFICIAL_CLASSES
from kdzoo.data.transfer_sets import TRANSFER_SETS


@pytest.fixture(autouse=True)
def _no_default_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)


@pytest.mark.parametrize("name", TREES)
def test_a_miniature_in_the_official_layout_is_read(name: str, tmp_path: Path) -> None:
    spec = f"{name}:{TREES[name](tmp_path)}"
    train, test = open_source(spec, "train"), open_source(spec, "val")
    assert (len(train), len(test)) == COUNTS[name]
    assert train.class_names == test.class_names
    identities = {source.identity(index) for source in (train, test) for index in range(len(source))}
    assert len(identities) == len(train) + len(test)
    assert train.load(0).size == (40, 36)
    unlabeled = open_source(spec, "unlabeled")
    assert len(unlabeled) == len(train)
    assert unlabeled.class_names == ()
    assert set(unlabeled.labels) == {-1}


@pytest.mark.parametrize("name", [name for name in TREES if name != "voc2007"])
def test_the_labels_are_the_pictures_classes(name: str, tmp_path: Path) -> None:
    """The miniatures' pictures carry their class in their colour."""
    spec = f"{name}:{TREES[name](tmp_path)}"
    colours = np.stack([np.random.default_rng(77 + label).integers(0, 256, 3) for label in range(3)])
    for split in ("train", "val"):
        source = open_source(spec, split)
        for index, label in enumerate(source.labels):
            seen = np.asarray(source.load(index)).reshape(-1, 3).mean(axis=0)
            assert np.abs(colours - seen).sum(axis=1).argmin() == label


def test_voc_says_which_classes_are_there_and_which_are_not_counted(tmp_path: Path) -> None:
    source = open_source(f"voc2007:{TREES['voc2007'](tmp_path)}", "train")
    assert source.targets is not None
    first = source.targets[0]
    assert first[:2].tolist() == [1, 1]
    assert np.isnan(first[2])
    assert first[3:].tolist() == [0] * 17
    assert np.nansum(source.targets[1]) == 1
    assert source.class_names[0] == "aeroplane"
    assert source.class_names[19] == "tvmonitor"


def test_the_names_in_the_lists_are_the_class_order(tmp_path: Path) -> None:
    """Neither SUN's nor Aircraft's classes are in sorted order in these lists, and are not sorted."""
    assert open_source(f"aircraft:{TREES['aircraft'](tmp_path)}", "val").class_names == ("737-200", "707-320", "F/A-18")
    names = open_source(f"sun397:{TREES['sun397'](tmp_path / 's')}", "val").class_names
    assert names == ("b/badlands", "a/abbey", "a/apartment_building/outdoor")


@pytest.mark.parametrize("name", ["dtd", "sun397"])
def test_partitions_are_other_images_of_the_same_classes(name: str, tmp_path: Path) -> None:
    path = TREES[name](tmp_path)
    first, second = (open_source(f"{name}{at}:{path}", "val") for at in ("", "@2"))
    assert first.class_names == second.class_names
    assert open_source(f"{name}@1:{path}", "val").fingerprint() == first.fingerprint()
    shared = {s.identity(i) for s in (first,) for i in range(len(s))} & {
        s.identity(i) for s in (second,) for i in range(len(s))
    }
    assert not shared


@pytest.mark.parametrize("name", TREES)
def test_the_check_counts_against_the_official_numbers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"{name}:{TREES[name](tmp_path)}"
    report = check_source(spec, workers=0)
    assert report.ok, report.problems
    train, val = COUNTS[name]
    assert [split.num_images for split in report.splits] == [train, val]
    assert any(f"the official {name} has {EXPECTED_COUNTS[name]['train'][0]:,}" in w for w in report.warnings)
    classes = len(report.splits[0].class_counts)
    monkeypatch.setitem(EXPECTED_COUNTS, name, {"train": (train, classes), "val": (val, classes)})
    monkeypatch.delitem(OFFICIAL_CLASSES, name, raising=False)
    warnings = check_source(spec, workers=0).warnings
    assert [w for w in warnings if "official" in w] == []
    if name == "birdsnap":
        assert "16 of the 18 images that birdsnap's own list has are there" in warnings[0]


def test_the_check_counts_the_images_of_each_voc_class(tmp_path: Path) -> None:
    counts = check_source(f"voc2007:{TREES['voc2007'](tmp_path)}", workers=0).splits[0].class_counts
    assert counts == dict.fromkeys(counts, 3)


def test_the_papers_counts_are_the_expected_ones() -> None:
    """MEAL V2 Table 8; 50 and 50 a class of SUN397; FGVC-Aircraft's and DTD's own pages."""
    assert {name: (EXPECTED_COUNTS[name]["train"][0], EXPECTED_COUNTS[name]["val"][0]) for name in TRANSFER_SETS} == {
        "voc2007": (5011, 4952),
        "cub200": (5994, 5794),
        "birdsnap": (47386, 2443),
        "aircraft": (6667, 3333),
        "dtd": (3760, 1880),
        "sun397": (397 * 50, 397 * 50),
    }


@pytest.mark.parametrize("name", [name for name in TREES if name != "voc2007"])
def test_class_folders_do_where_the_lists_are_not(name: str, tmp_path: Path) -> None:
    """What the Hub's copies become when their images are written out."""
    source = open_source(f"{name}:{class_folders(tmp_path)}", "val")
    assert (source.name, len(source), source.class_names) == (name, 9, ("ant", "bee", "cow"))


@pytest.mark.parametrize("name", TREES)
def test_what_is_missing_is_said_with_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^{name} not found: looked for") as error:
        open_source(f"{name}:{tmp_path / 'nowhere'}", "train")
    assert "unpack" in str(error.value.hint)
    with pytest.raises(DataError, match="KDZOO_DATA is not set"):
        open_source(name, "train")


Spoil = Callable[[Path], None]


def _edit(file: str, old: str, new: str, count: int = 1) -> Spoil:
    def spoil(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, count))

    return spoil


def _remove(file: str) -> Spoil:
    def spoil(root: Path) -> None:
        path = root / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def _only_parquet(root: Path) -> None:
    for path in root.iterdir():
        shutil.rmtree(path)
    write(root / "data" / "train-00000-of-00001.parquet", ["PAR1"])


def _only_arrow(root: Path) -> None:
    _only_parquet(root)
    shutil.rmtree(root / "data")
    write(root / "train" / "data-00000-of-00001.arrow", ["ARROW1"])


def _class_folders_alone(root: Path) -> None:
    for path in root.iterdir():
        shutil.rmtree(path)
    class_folders(root)


def _no_bytes_of_text(root: Path) -> None:
    (root / "CUB_200_2011" / "classes.txt").write_bytes(b"\xff\xfe\x00\x80")


def _other_order(root: Path) -> None:
    file = root / "VOCdevkit/VOC2007/ImageSets/Main/dog_trainval.txt"
    write(file, file.read_text().splitlines()[::-1])


def _labels_of_another_release(root: Path) -> None:
    file = root / "CUB_200_2011" / "image_class_labels.txt"
    write(file, file.read_text().splitlines()[:-2])


def _swapped_labels(root: Path) -> None:
    file = root / "CUB_200_2011" / "image_class_labels.txt"
    lines = file.read_text().splitlines()
    write(file, [line[:-1] + "2" if line.endswith(" 1") else line for line in lines])


def _one_split_only(root: Path) -> None:
    file = root / "CUB_200_2011" / "train_test_split.txt"
    write(file, [f"{line.split()[0]} 1" for line in file.read_text().splitlines()])


def _no_images_of_birds(root: Path) -> None:
    shutil.rmtree(root / "birdsnap" / "download")


_VOC = "VOCdevkit/VOC2007"
_AIR = "fgvc-aircraft-2013b/data"
WRONG: list[tuple[str, str, Spoil, str, str]] = [
    (
        "voc2007",
        "val",
        _remove(f"{_VOC}/ImageSets/Main/cat_test.txt"),
        "cat_test.txt is missing",
        "VOCtest_06-Nov-2007",
    ),
    (
        "voc2007",
        "train",
        _edit(f"{_VOC}/ImageSets/Main/bus_trainval.txt", "-1", "2"),
        "lines of this file are",
        "again",
    ),
    ("voc2007", "train", _other_order, "lists other images than aeroplane_trainval.txt", "same order"),
    ("voc2007", "train", _remove(f"{_VOC}/JPEGImages/000003.jpg"), "1 of the 40 images .* 000003.jpg", "again"),
    ("voc2007", "train", _remove(f"{_VOC}/JPEGImages"), "JPEGImages/ is missing", "unpack"),
    ("voc2007", "train", _class_folders_alone, "may show several classes", "VOCtrainval"),
    ("cub200", "train", _remove("CUB_200_2011/train_test_split.txt"), "which images are to be trained on", "again"),
    ("cub200", "train", _labels_of_another_release, "is about other images than images.txt", "not CUB-200 of 2010"),
    ("cub200", "train", _swapped_labels, "puts image 1 into 001.Black", "numbered from 1"),
    ("cub200", "train", _edit("CUB_200_2011/image_class_labels.txt", "1 1\n", "1 0\n"), "a class from 1 to 3", "again"),
    ("cub200", "train", _edit("CUB_200_2011/train_test_split.txt", "1 1\n", "1 train\n"), "ID and 1 or 0", "again"),
    ("cub200", "train", _edit("CUB_200_2011/images.txt", "\n2 ", "\n1 "), "lists 1 twice", "again"),
    ("cub200", "train", _edit("CUB_200_2011/classes.txt", "1 001", "0 001"), "not numbered 1, 2, 3", "less one"),
    ("cub200", "val", _one_split_only, "the split val is empty", "again"),
    ("cub200", "train", _no_bytes_of_text, "is no text file", "again"),
    ("cub200", "train", _only_parquet, "Hub's copy as parquet", "kdzoo data unpack"),
    ("voc2007", "train", _only_parquet, "may show several classes", "VOCtrainval"),
    ("birdsnap", "train", _remove("birdsnap/test_images.txt"), "test_images.txt is missing", "again"),
    ("birdsnap", "train", _edit("birdsnap/species.txt", "id\t", "number\t"), "id and common", "1.1"),
    ("birdsnap", "train", _edit("birdsnap/test_images.txt", "6.jpg", "6.png"), "that images.txt does not have", "1.1"),
    ("birdsnap", "train", _edit("birdsnap/images.txt", "\t2\t1\t2", "\t9\t1\t2"), "names species '9'", "one archive"),
    ("birdsnap", "train", _edit("birdsnap/images.txt", "\t1\t1\t2\t30\t31", ""), "has 3 cells", "again"),
    ("birdsnap", "val", _no_images_of_birds, "none of the 9 images", "get_birdsnap.py"),
    ("aircraft", "train", _remove(f"{_AIR}/images_variant_trainval.txt"), "the variant of each image", "again"),
    (
        "aircraft",
        "val",
        _edit(f"{_AIR}/images_variant_test.txt", "737-200", "Boeing 737"),
        "the variant 'Boeing 737'",
        "not",
    ),
    ("aircraft", "val", _edit(f"{_AIR}/images_variant_test.txt", " 737-200", ""), "IMAGE VARIANT", "again"),
    ("aircraft", "train", _edit(f"{_AIR}/variants.txt", "707-320", "737-200"), "names a variant twice", "again"),
    ("aircraft", "train", _remove(f"{_AIR}/images"), "images/ is missing", "unpack"),
    (
        "aircraft",
        "train",
        _edit(f"{_AIR}/images_variant_trainval.txt", "0000001 ", "0000000 "),
        "an image twice",
        "again",
    ),
    ("dtd", "train", _remove("dtd/labels/val1.txt"), "val1.txt is missing", "again"),
    ("dtd", "train", _remove("dtd/images"), "images/ is missing beside labels", "dtd-r1.0.1"),
    ("dtd", "train", _edit("dtd/labels/train1.txt", "banded/", ""), "CLASS/IMAGE.jpg", "again"),
    ("dtd", "train", _remove("dtd/images/blotchy"), "'blotchy', which has no folder", "whole archive"),
    ("dtd", "train", _only_arrow, "Hub's copy as arrow", "to_parquet"),
    ("sun397", "train", _remove("Partitions"), "not Training_01.txt", "Partitions.zip"),
    ("sun397", "val", _remove("Partitions/ClassName.txt"), "ClassName.txt is missing", "again"),
    ("sun397", "val", _edit("Partitions/Testing_01.txt", "/b/badlands", "/b/ballroom"), "'b/ballroom'", "one archive"),
    ("sun397", "train", _remove("SUN397/a/abbey"), "images that .*Training_01.txt lists are not in", "again"),
    ("sun397", "val", lambda root: write(root / "Partitions/Testing_01.txt", []), "is empty", "again"),
]


@pytest.mark.parametrize(("name", "split", "spoil", "message", "hint"), WRONG)
def test_wrong_layouts_are_explained(
    name: str, split: str, spoil: Spoil, message: str, hint: str, tmp_path: Path
) -> None:
    root = TREES[name](tmp_path)
    spoil(root)
    with pytest.raises(KdzooError, match=message) as error:
        open_source(f"{name}:{root}", split)
    assert hint in str(error.value.hint)
    assert "\n" not in error.value.message
    spec = f"{name}:{root}"
    if error.value.message.startswith(f"{name} not found"):  # not one split can be opened
        with pytest.raises(DataError, match="not found"):
            check_source(spec, workers=0)
        return
    report = check_source(spec, workers=0)
    assert not report.ok
    assert any(error.value.message in problem for problem in report.problems)


@pytest.mark.parametrize("text", ["dtd@0", "dtd@11", "dtd@one", "cub200@1", "sun397@"])
def test_wrong_partitions_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        open_source(text, "train")


def test_an_unreadable_image_is_found_by_the_check(tmp_path: Path) -> None:
    root = TREES["cub200"](tmp_path)
    victim = sorted((root / "CUB_200_2011" / "images").rglob("*.jpg"))[0]
    victim.write_bytes(b"no picture")
    report = check_source(f"cub200:{root}", workers=0)
    assert not report.ok
    assert [len(split.unreadable) for split in report.splits] == [1, 0]


def test_pictures_differ(tmp_path: Path) -> None:
    """The miniatures' own pictures: equal ones would make the check warn of copies."""
    picture(tmp_path / "a.jpg", 1, 1)
    picture(tmp_path / "b.jpg", 1, 2)
    assert (tmp_path / "a.jpg").read_bytes() != (tmp_path / "b.jpg").read_bytes()
