"""Folders as people, archives and competitions lay them out: what is read, and what is said of the rest."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from photo_folders import make, write_image
from PIL import Image

from kdzoo.base.errors import DataError, KdzooError, UsageError
from kdzoo.data import check_source, open_source
from kdzoo.data.images import IMAGE_EXTENSIONS
from kdzoo.data.listing import describe_left_out
from kdzoo.data.pairs import open_pair


def wrapped_splits(root: Path) -> None:
    make(root, "fruit/train/fig", "fruit/train/plum", "fruit/val/fig", "fruit/val/plum")


def wrapped_splits_beside_others(root: Path) -> None:
    make(root, "pictures/train/fig", "pictures/train/plum", "pictures/test/fig")
    (root / "boxes" / "train").mkdir(parents=True)
    (root / "boxes" / "train" / "0.txt").write_text("0 1 2")


def wrapped_classes_twice(root: Path) -> None:
    make(root, "a/b/fig", "a/b/plum", "a/b/pear")


def wrapped_classes_in_a_split(root: Path) -> None:
    make(root, "train/train/fig", "train/train/plum", "val/fig")


def splits_in_the_classes(root: Path) -> None:
    make(root, "fig/training", "fig/test", "plum/training", "plum/test")


def several_data_sets(root: Path) -> None:
    make(root, "bottle/train/good", "bottle/test/bad", "cable/train/good", "cable/test/bad")


def one_class(root: Path) -> None:
    make(root, "train/fig", "val/fig")


def flat_with_a_table(root: Path) -> None:
    make(root, "train", "test")
    (root / "sample_submission.csv").write_text("id,label\n")
    (root / "labels.csv").write_text("file,kind,Id\r\n0.png,fig,1\n")


def flat_with_classes_in_the_names(root: Path) -> None:
    for name in ("fig", "plum"):
        for index in range(3):
            write_image(root / "train" / f"{name}_{index}.png", index)


def a_class_named_as_a_split(root: Path) -> None:
    make(root, "bus", "tram", "train")


def flat_images_in_one_folder(root: Path) -> None:
    make(root, "images")
    (root / "train.csv").write_text("image,label\n")


def two_validation_folders(root: Path) -> None:
    make(root, "train/fig", "train/plum", "valid/fig", "validation/fig")


def two_training_folders(root: Path) -> None:
    make(root, "train/fig", "train/plum", "training/fig", "val/fig")


def a_validation_class_of_its_own(root: Path) -> None:
    make(root, "train/fig", "train/plum", "val/fig", "val/kiwi")


def class_folders_alone(root: Path) -> None:
    make(root, "fig", "plum")


def one_folder_under_two_names(root: Path) -> None:
    make(root, "train/fig", "train/plum", "val/fig")
    (root / "train" / "prune").symlink_to(root / "train" / "plum")


def a_link_to_another_class(root: Path) -> None:
    make(root, "train/fig", "train/plum", "val/fig")
    (root / "train" / "fig" / "more").symlink_to("../plum")


def a_link_to_the_folder_above(root: Path) -> None:
    make(root, "train/fig", "train/plum", "val/fig")
    (root / "train" / "everything").symlink_to(".")


@pytest.mark.parametrize(
    ("lay_out", "found", "way_out"),
    [
        (wrapped_splits, "the splits train/ and val/ lie in it", "give {root}/fruit"),
        (wrapped_splits_beside_others, "one folder with images, pictures/", "give {root}/pictures"),
        (wrapped_classes_twice, "the class folders lie in {root}/a/b: fig, pear, plum", "give {root}/a/b"),
        (wrapped_classes_in_a_split, "lie in {root}/train/train: fig, plum", "one level up, into {root}/train"),
        (splits_in_the_classes, "splits inside its 2 class folders: fig/ holds test/ and", "{root}/test/fig/IMAGE.jpg"),
        (several_data_sets, "2 data sets, each with splits of its own: bottle, cable", "give one of them"),
        (one_class, "a single class, fig (2 images)", "PATH@one-class"),
        (flat_with_a_table, "labels.csv has the columns file, kind, Id", "as labels.csv says"),
        (flat_with_classes_in_the_names, "is flat: 6 images", "names begin with fig, plum"),
        (a_class_named_as_a_split, "train is flat", "if train is a class as bus, tram may be"),
        (flat_images_in_one_folder, "single class, images (2 images)", "a folder a class"),
        (two_validation_folders, "valid/ and validation/: either may be meant", "{root}@valid"),
        (two_training_folders, "train/ and training/: either may be meant", "keep one"),
        (a_validation_class_of_its_own, "only in val/: kiwi", "train/'s folders"),
        (
            class_folders_alone,
            "class folders (fig, plum)",
            "--val-share 0.1 (in every verb: the data spec {root}@val-share=0.1)",
        ),
        (one_folder_under_two_names, "prune is {root}/train/plum under another name", "remove the link"),
        (a_link_to_another_class, "fig/more is a link to {root}/train/plum", "remove the link"),
        (a_link_to_the_folder_above, "everything is {root}/train itself", "remove the link"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_found_is_named_with_the_way_out(
    tmp_path: Path, lay_out: Callable[[Path], None], found: str, way_out: str
) -> None:
    root = tmp_path / "data"
    lay_out(root)
    with pytest.raises(KdzooError) as caught:
        open_pair(str(root))
    assert found.format(root=root) in caught.value.message
    assert way_out.format(root=root) in str(caught.value.hint)
    assert "\n" not in caught.value.message
    try:
        problems = check_source(str(root), workers=0).problems
    except DataError as error:
        problems = [error.message]
    assert any(found.format(root=root) in problem for problem in problems)


@pytest.mark.parametrize(
    ("train", "val"),
    [("Train", "Val"), ("training", "valid"), ("TRAINING", "Validation"), ("train", "Test"), ("train", "testing")],
)
def test_names_that_people_use_are_split_names_and_said(tmp_path: Path, train: str, val: str) -> None:
    root = make(tmp_path / "data", f"{train}/fig", f"{train}/plum", f"{val}/fig", f"{val}/plum")
    pair = open_pair(str(root))
    assert [source.path for source in pair] == [root / train, root / val]
    assert any(f"{val}/ is taken for validation" in note for note in pair[1].notes)
    assert any(f"{train}/ is taken for training" in note for note in pair[0].notes) == (train != "train")
    assert len(open_source(str(root), "unlabeled")) == 4


def test_plain_names_need_no_word(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum", "val/fig", "val/plum")
    assert [source.notes for source in open_pair(str(root))] == [(), ()]


def test_of_val_and_test_the_first_is_taken_and_the_other_can_be_asked_for(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum", "val/fig", "val/plum", "test/fig", "test/plum")
    val = open_source(str(root), "val")
    assert val.path == root / "val"
    assert val.notes == (f"{root}: val/ is taken for validation; test/ not read ({root}@test)",)
    assert open_source(f"{root}@test", "val").path == root / "test"
    assert open_source(f"{root}@test", "train").path == root / "train"
    assert open_source(f"{root}@TRAIN", "val").path == root / "train"
    report = check_source(f"{root}@test", workers=0)
    assert report.ok
    assert [split.folder for split in report.splits] == [str(root / "train"), str(root / "test")]
    with pytest.raises(DataError, match="has no folder testing/"):
        open_source(f"{make(tmp_path / 'b', 'train/fig', 'train/plum')}@testing", "val")


@pytest.mark.parametrize("part", ["tset", "val-share=0", "val-share=1.5", "val-share=nan", "test@val", "val-seed=1"])
def test_a_part_that_a_folder_has_not_is_refused(tmp_path: Path, part: str) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum")
    with pytest.raises(UsageError):
        open_source(f"{root}@{part}", "val")


def test_a_path_may_hold_an_at_sign(tmp_path: Path) -> None:
    root = make(tmp_path / "me@home@test", "train/fig", "train/plum", "val/fig", "test/plum")
    assert open_source(str(root), "val").path == root / "val"
    assert open_source(f"{root}@test", "val").path == root / "test"


def test_what_archivers_and_file_systems_leave_behind_is_no_class(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum", "val/fig", "val/plum")
    before = [open_source(str(root), split).fingerprint() for split in ("train", "val", "unlabeled")]
    for folder in ("__MACOSX/train/fig", "train/__MACOSX", "train/fig/@eaDir", "train/.ipynb_checkpoints"):
        make(root, folder)
    for name in ("train/.DS_Store", "train/fig/Thumbs.db", "train/fig/.0.png", "val/desktop.ini"):
        (root / name).write_bytes(b"x")
    train, val = open_pair(str(root))
    assert [train.fingerprint(), val.fingerprint(), open_source(str(root), "unlabeled").fingerprint()] == before
    assert train.notes == (f"{root}/train: 1 file left out: 1 .db, @eaDir/, __MACOSX/",)
    assert val.notes == (f"{root}/val: 1 file left out: 1 .ini",)


def test_images_beside_the_class_folders_are_counted(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "fig", "plum", "")
    source = open_source(str(root), "train")
    assert len(source) == 4
    assert source.notes == (f"{root}: 2 files left out: 2 images beside the class folders",)


def test_folders_in_class_folders_are_said(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "fig/0001", "fig/0002/left", "plum/0001")
    (note,) = open_source(str(root), "train").notes
    assert "2 of 2 class folders hold folders, such as fig/0001: their images count as fig" in note


def test_other_extensions_are_read_or_counted(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "fig", "plum")
    before = [open_source(str(root), "train").identity(index) for index in range(4)]
    for number, name in enumerate(("a.jfif", "b.JPE", "c.MPO", "d.apng", "e.WebP", "f.TIFF", "g.pbm")):
        write_image(root / "fig" / name, number)
    for name in ("a.heic", "b.HEIC", "c.cr2", "notes", "d.\x1b[2Jx"):
        (root / "plum" / name).write_bytes(b"x")
    source = open_source(str(root), "train")
    names = [source.identity(index) for index in range(len(source))]
    assert names[-2:] == before[-2:]
    assert {Path(name).name for name in names[:9]} == {
        *("0.png", "1.png"),
        *("a.jfif", "b.JPE", "c.MPO", "d.apng", "e.WebP", "f.TIFF", "g.pbm"),
    }
    assert all(source.load(index).size == (8, 6) for index in range(len(source)))
    assert sum(source.left_out.values()) == 5
    (note,) = source.notes
    assert "5 files left out: 2 .heic, 1 without an extension, 1 .\\x1b[2jx, 1 .cr2" in note
    assert check_source(f"{root}@val-share=0.5", workers=0).splits[0].left_out[".heic"] == 2


@pytest.mark.parametrize("extension", sorted(IMAGE_EXTENSIONS & {".avif", ".jp2", ".j2k"}))
def test_what_this_pillow_decodes_is_read(tmp_path: Path, extension: str) -> None:
    write_image(tmp_path / "x" / f"0{extension}", 0)
    assert open_source(str(tmp_path), "unlabeled").load(0).size == (8, 6)


def test_many_kinds_are_summed_up() -> None:
    counts = {f".{letter}": number for number, letter in enumerate("abcdefgh", start=1)}
    assert describe_left_out(counts) == "36 files left out: 8 .h, 7 .g, 6 .f, 5 .e, 4 .d, 3 .c, 3 of other kinds"
    assert describe_left_out({}) == ""


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as one:  # a socket's path is short
        one.bind(path.name)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize("place", ["train/fig/x.jpg", "train/fig/deep/x.PNG", "val/plum/x.webp"])
@pytest.mark.parametrize(
    ("put", "kind"),
    [
        (fifo, "a named pipe"),
        (unix_socket, "a socket"),
        (link("/dev/zero"), "a device"),
        (link("/nowhere/at/all"), "a link to nothing"),
        (link("x.jpg"), "a link"),
    ],
    ids=["fifo", "socket", "device", "dangling", "circle"],
)
def test_what_is_no_regular_file_is_named_and_not_opened(
    tmp_path: Path, put: Callable[[Path], None], kind: str, place: str
) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum", "val/fig", "val/plum")
    (root / place).parent.mkdir(exist_ok=True)
    put(root / place)
    split = place.split("/")[0]
    with pytest.raises(DataError) as caught:
        open_source(str(root), split)
    assert f"{root / place} is {kind}" in caught.value.message
    report = check_source(str(root), workers=0)
    assert not report.ok
    assert any(str(root / place) in problem for problem in report.problems)
    with pytest.raises(DataError, match="not an image file"):
        open_source(str(root / split), "unlabeled")


def test_a_link_that_may_stand_for_a_class_is_named(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "train/fig", "train/plum", "val/fig")
    (root / "train" / "pear").symlink_to("/an/unmounted/disk")
    with pytest.raises(DataError, match="train/pear is a link to nothing"):
        open_source(str(root), "train")
    (root / "train" / "pear").unlink()
    (root / "train" / "pear").symlink_to("pear")
    with pytest.raises(DataError, match="train/pear is a link that leads in a circle"):
        open_source(str(root), "train")


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Class folders, and a path in one of them of more folders than Python calls itself; removed again."""
    root, levels = make(tmp_path / "data", "fig", "plum"), 1500
    with contextlib.chdir(root / "fig"):
        for _ in range(levels):
            os.mkdir("d")
            os.chdir("d")
        Image.new("RGB", (2, 2)).save("x.png")
        os.symlink(root / "fig", "again")
    yield root, "d/" * levels
    subprocess.run(["rm", "-rf", str(root)], check=True)  # shutil.rmtree calls itself at each level


def test_links_in_a_circle_and_folders_of_any_depth_come_to_an_end(deep: tuple[Path, str]) -> None:
    root, path = deep
    source = open_source(str(root), "train")
    assert source.identity(2) == f"fig/{path}x.png"
    assert len(source) == 5
