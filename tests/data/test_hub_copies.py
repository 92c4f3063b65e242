"""`kdzoo data unpack`: the Hub's parquet copies become class folders, exactly, or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import hub_copies as hub
import pyarrow as pa
import pytest

from kdzoo.base.errors import DataError, KdzooError, RunError, UsageError
from kdzoo.data import check_source, open_source
from kdzoo.data.expected_counts import EXPECTED_COUNTS
from kdzoo.data.hub_copy import unpack, unpacking
from kdzoo.data.hub_copy.names import folder_names
from kdzoo.data.hub_files import MANIFEST
from kdzoo.data.official_classes import OFFICIAL_CLASSES, unlike_official


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def classes(out: Path, split: str = "train") -> list[str]:
    return sorted(path.name for path in (out / split).iterdir())


def test_a_sharded_copy_becomes_class_folders_with_the_same_bytes(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    seen: list[tuple[int, int]] = []
    done = unpack(root, tmp_path / "out", progress=lambda number, total: seen.append((number, total)))
    assert (done.num_images, done.num_classes, done.num_written) == ({"train": 18, "test": 9}, 3, 27)
    assert seen == [(number, 27) for number in range(1, 28)]
    assert done.warnings == []
    files = tree(tmp_path / "out")
    manifest = json.loads(files.pop(MANIFEST))
    expected = {}
    for split, shards in (("train", ((9, 0), (9, 100))), ("test", ((9, 500),))):
        number = 0
        for count, first in shards:
            for row in range(count):
                name = f"{split}/{hub.CLASSES[row % 3]}/{number:07d}.jpg"
                expected[name] = hub.encoded(row % 3, first + row)
                number += 1
    assert files == expected
    assert manifest["splits"]["test"]["class_counts"] == {"banded": 3, "blotchy": 3, "braided": 3}
    assert [one["name"] for one in manifest["classes"]] == list(hub.CLASSES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub", "out"]

    source = open_source(str(tmp_path / "out"), "val")
    assert (source.class_names, len(source)) == (hub.CLASSES, 9)
    report = check_source(str(tmp_path / "out"), workers=0)
    assert report.ok, report.problems
    assert [split.num_images for split in report.splits] == [18, 9]


def test_names_and_splits_may_stand_in_the_readme(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    hub.write_shard(root / "data" / "part-1.parquet", [0, 1])
    hub.write_shard(root / "data" / "part-2.parquet", [1, 0], first=9)
    hub.write_shard(root / "data" / "held.parquet", [0, 1], first=20)
    hub.write_shard(root / ".cache" / "train.parquet", [0])
    (root / "README.md").write_text(hub.README)
    done = unpack(root, tmp_path / "out", splits=[("train", "train"), ("val", "holdout")])
    # Not in sorted order: the number in front keeps the labels' order.
    assert classes(tmp_path / "out") == ["0.zebra", "1.ant"]
    assert open_source(str(tmp_path / "out"), "train").labels.tolist() == [0, 0, 1, 1]
    assert (done.num_images, done.warnings) == ({"train": 4, "val": 2}, [])
    assert unpack(root, tmp_path / "train only").warnings == [
        "left out: the splits holdout (--split val=NAME takes one)"
    ]


def test_the_readme_counts_what_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    hub.write_shard(root / "data" / "part-1.parquet", [0, 1])
    (root / "README.md").write_text(hub.README)
    assert "train: 2 images; the copy's README.md says 4" in unpack(root, tmp_path / "out").warnings


@pytest.mark.parametrize(
    ("files", "config", "found"),
    [
        (["train.parquet", "validation.parquet"], None, {"train": 1, "val": 1}),
        (["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"], None, {"train": 2}),
        (["a/train/0000.parquet", "b/train/0000.parquet", "b/dev/0000.parquet"], "b", {"train": 1, "val": 1}),
        (["fine/train-00000-of-00001.parquet", "coarse/train-00000-of-00001.parquet"], "fine", {"train": 1}),
        (["imagefolder-train.parquet", "imagefolder-test.parquet"], None, {"train": 1, "test": 1}),
        (["0000.parquet", "0001.parquet"], None, {"train": 2}),
    ],
)
def test_file_names_say_the_splits(files: list[str], config: str | None, found: dict[str, int], tmp_path: Path) -> None:
    for first, name in enumerate(files):
        hub.write_shard(tmp_path / "hub" / name, [0], metadata=hub.features(), first=first)
    done = unpack(tmp_path / "hub", tmp_path / "out", config=config)
    assert found.items() <= done.num_images.items()


@pytest.mark.parametrize(
    ("labels", "kind", "names", "folders"),
    [
        (["dog", "cat", "dog"], pa.string(), None, ["cat", "dog"]),
        (["dog", "cat"], pa.dictionary(pa.int32(), pa.string()), None, ["cat", "dog"]),
        (["dog", "cat"], pa.large_string(), None, ["cat", "dog"]),
        ([10, 9, 2], pa.uint8(), None, ["10", "2", "9"]),
        ([2, 0], pa.int16(), ("F/A-18", "nobody", "737"), ["0.F_A-18", "2.737"]),
    ],
)
def test_labels_are_integers_or_texts(
    labels: list[Any], kind: Any, names: Any, folders: list[str], tmp_path: Path
) -> None:
    metadata = hub.features(names)
    hub.write_shard(tmp_path / "hub" / "train.parquet", labels, label_type=kind, metadata=metadata)
    unpack(tmp_path / "hub", tmp_path / "out")
    assert classes(tmp_path / "out") == folders


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_the_content_decides_the_extension(form: str, tmp_path: Path) -> None:
    content = hub.encoded(0, 1, form)
    hub.write_shard(tmp_path / "hub" / "train.parquet", ["a"], images=[content], image_type=pa.large_binary())
    unpack(tmp_path / "hub", tmp_path / "out")
    extension = {"TIFF": "tif"}.get(form, form.lower())
    assert tree(tmp_path / "out" / "train") == {f"a/0000000.{extension}": content}
    assert open_source(str(tmp_path / "out"), "train").load(0).size == (12, 10)


def test_columns_are_chosen_by_name_where_several_could_be_meant(tmp_path: Path) -> None:
    fine = {"_type": "ClassLabel", "names": ["x", "y"]}
    hub.write_shard(
        tmp_path / "hub" / "train.parquet",
        [0, 1],
        label_column="coarse",
        metadata=hub.features(None, coarse=fine, fine=fine),
        more={"fine": [1, 1], "thumbnail": [b"a", b"b"]},
    )
    with pytest.raises(UsageError, match="2 columns that may hold the label: coarse, fine"):
        unpack(tmp_path / "hub", tmp_path / "out")
    unpack(tmp_path / "hub", tmp_path / "out", label_column="fine")
    assert classes(tmp_path / "out") == ["y"]


def test_a_folder_name_is_harmless_different_and_in_label_order() -> None:
    assert folder_names(["a b", "b'c", "é"]) == ["a b", "b'c", "é"]
    assert folder_names(["b", "a"]) == ["0.b", "1.a"]
    assert folder_names(["Cat", "cat"]) == ["0.Cat", "1.cat"]
    assert folder_names(["x/y", "x_y"]) == ["0.x_y", "1.x_y"]
    assert folder_names(["/a/abbey", "/b/barn"]) == ["a_abbey", "b_barn"]
    assert folder_names(["9", "10"]) == ["9", "10"]
    assert folder_names([".hidden", "a. "]) == ["_hidden", "a_"]
    assert folder_names(["con", "z"]) == ["_con", "z"]
    long = folder_names(["ü" * 200 + "a", "ü" * 200 + "b"])
    assert len(set(long)) == 2
    assert all(len(name.encode()) < 120 for name in long)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "..", "a\0b", "a\nb", "C:\\x", "", " ", "/", "x" * 501, "\ud800"]
)
def test_no_folder_is_made_for_a_hostile_name(name: str) -> None:
    with pytest.raises(DataError, match="class 1 is called"):
        folder_names(["good", name])


# What is wrong with a copy: how it is spoilt, what is said, the way out.

Spoil = Callable[[Path], None]
_TRAIN = "data/train-00001-of-00002.parquet"


def _rewrite(labels: list[Any], **options: Any) -> Spoil:
    def spoil(root: Path) -> None:
        shutil.rmtree(root / "data")
        options.setdefault("metadata", hub.features())
        hub.write_shard(root / "data" / "train.parquet", labels, **options)

    return spoil


def _cut(root: Path) -> None:
    (root / _TRAIN).write_bytes((root / _TRAIN).read_bytes()[:-200])


def _flip(root: Path) -> None:
    content = bytearray((root / _TRAIN).read_bytes())
    content[20:400] = bytes(380)
    (root / _TRAIN).write_bytes(content)


def _bad_footer(root: Path) -> None:
    content = bytearray((root / _TRAIN).read_bytes())
    content[-60:-8] = b"\xff" * 52
    (root / _TRAIN).write_bytes(content)


def _bad_column_name(root: Path) -> None:
    path = root / _TRAIN
    path.write_bytes(path.read_bytes().replace(b"label", b"lab\xeel"))


def _pointer(root: Path) -> None:
    (root / _TRAIN).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 463693721\n")


def _second_upload(root: Path) -> None:
    for number in range(2):
        path = root / "data" / f"train-0000{number}-of-00002.parquet"
        shutil.copy(path, path.with_name(f"{path.stem}-d900164b8fe4cfb9.parquet"))


def _only(ending: str) -> Spoil:
    def spoil(root: Path) -> None:
        shutil.rmtree(root / "data")
        (root / f"train.{ending}").write_bytes(b"?")

    return spoil


_JPEG = {"bytes": hub.encoded(0, 0), "path": None}
_MULTI = [[0, 1], [2]]
WRONG: list[tuple[Spoil, str, str]] = [
    (shutil.rmtree, "there is no folder", "hf download"),
    (_only("zip"), "no parquet files in", "refs/convert/parquet"),
    (_only("arrow"), "holds arrow files", "to_parquet"),
    (_pointer, "1 of the 3 parquet files .* are Git LFS pointers", "git lfs pull"),
    (_cut, r"train-00001-of-00002.parquet \([\d,]+ bytes\) is truncated", "download"),
    (lambda root: (root / _TRAIN).write_bytes(b""), r"\(0 bytes\) is no parquet file", "download"),
    (_bad_footer, "train-00001-of-00002.parquet is damaged: ", "download"),
    (_bad_column_name, "train-00001-of-00002.parquet is damaged: .*utf-8", "download"),
    (_flip, "train-00001-of-00002.parquet", "download"),
    (lambda root: (root / _TRAIN).unlink(), "has 1 of 2 shards: 00001 is missing", "goes on"),
    (_second_upload, "shards of more than one upload", "remove the older"),
    (_rewrite([0, 3]), r"row 1 \(counted from 0\) has the label 3; there are 3 classes", "contradicts"),
    (_rewrite([0, -1]), r"row 1 \(counted from 0\) has the label -1", "--split"),
    (_rewrite([0, -2], metadata=hub.features(None)), "the label -2; there are no negative", "contradicts"),
    (_rewrite([0, None]), r"row 1 \(counted from 0\) has no label", "--split"),
    (_rewrite(["a", ""], metadata=None), r"row 1 \(counted from 0\) has no label", "--split"),
    (_rewrite([0.5, 1.0]), "the column label of .* is double; labels are integers or texts", "--label-column"),
    (_rewrite(_MULTI, metadata=None), "several labels an image", "--label-column"),
    (_rewrite([0], label_column="kind", metadata=None), "no column that looks like the label", "kind (int64)"),
    (
        _rewrite([0], image_column="x", image_type=pa.int64(), images=[1], metadata=None),
        "looks like the image",
        "x (int",
    ),
    (_rewrite([0], image_type=pa.string(), images=["x.jpg"]), "the column image .* is string", "columns: image"),
    (_rewrite([0, 0], images=[_JPEG, None]), r"row 1 has no image \(rows are counted from 0\)", "another copy"),
    (_rewrite([0, 0], images=[_JPEG, {"bytes": None, "path": "x.jpg"}]), "row 1 has no image", "another copy"),
    (_rewrite([0, 0], images=[_JPEG, {"bytes": b"", "path": None}]), "row 1 .* the file is empty", "tell its owner"),
    (_rewrite([0], images=[{"bytes": b"no picture", "path": None}]), "row 0 .* not an image", "tell its owner"),
    (_rewrite([0], images=[{"bytes": _JPEG["bytes"][:-90], "path": ""}]), "row 0 .*decoded: .*[Tt]runcated", "tell"),
    (
        _rewrite([0], metadata=hub.features(["../../etc"])),
        "class 0 is called '../../etc': a path that leads",
        "no folder",
    ),
    (_rewrite([], label_type=pa.int64()), "have no rows", "download"),
    (_rewrite([0], metadata=hub.features([])), "says that its labels have names, and not which", "metadata"),
    (lambda root: hub.write_shard(root / _TRAIN, [0]), "other columns or classes than data/", "empty folder"),
    (lambda root: hub.write_shard(root / "b" / "train.parquet", [0]), "has 2 configurations: b, default", "--config"),
]


@pytest.mark.parametrize(("spoil", "message", "hint"), WRONG)
def test_what_is_wrong_with_a_copy_is_said_and_nothing_is_left_as_whole(
    spoil: Spoil, message: str, hint: str, tmp_path: Path
) -> None:
    root = hub.write_copy(tmp_path / "hub")
    spoil(root)
    with pytest.raises(KdzooError, match=message) as error:
        unpack(root, tmp_path / "out")
    assert hint in str(error.value.hint)
    assert "\n" not in error.value.message + str(error.value.hint)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (["train.parquet"], {"config": "x"}, "no configuration 'x'"),
        (["train.parquet"], {"splits": [("val", "dev")]}, "no split 'dev'"),
        (["train.parquet"], {"splits": [("train", "train"), ("val", "train")]}, "asked for twice"),
        (["train.parquet"], {"label_column": "x"}, "no column 'x'"),
        (["train.parquet"], {"image_column": "x"}, "no column 'x'"),
        (["extra-00000-of-00001.parquet"], {}, "no split is called train"),
        (["val/0.parquet", "dev/0.parquet"], {}, "would all go into val/"),
    ],
)
def test_wrong_options_are_refused(files: list[str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    for name in files:
        hub.write_shard(tmp_path / "hub" / name, [0], metadata=hub.features())
    with pytest.raises(UsageError, match=message):
        unpack(tmp_path / "hub", tmp_path / "out", **options)


# Never over something else; going on.


def test_a_second_call_finds_everything_there(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    unpack(root, tmp_path / "out")
    before = tree(tmp_path)
    assert unpack(root, tmp_path / "out").num_written == 0
    assert tree(tmp_path) == before
    shutil.rmtree(tmp_path / "out" / "test" / "banded")
    with pytest.raises(DataError, match="banded has 0 images, the copy 3"):
        unpack(root, tmp_path / "out")


def test_nothing_is_written_over_something_else(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.unpacking").mkdir()
    (tmp_path / "damaged.unpacking" / MANIFEST).write_text('{"splits": {}, "files": 3}')
    (tmp_path / "begun.unpacking").mkdir()
    (tmp_path / "begun.unpacking" / "mine").write_text("mine")
    before = tree(tmp_path)
    for name in ("file", "full"):
        with pytest.raises(DataError, match="holds something else"):
            unpack(root, tmp_path / name)
    for name in ("begun", "damaged"):
        with pytest.raises(DataError, match=rf"{name}.unpacking holds another unpacking"):
            unpack(root, tmp_path / name)
    for name in ("", ".."):
        with pytest.raises(DataError, match="holds something else"):
            unpack(root, tmp_path / "empty" / name if name else Path())
    with pytest.raises(DataError, match="holds something else"):
        unpack(root, root)
    assert tree(tmp_path) == before
    assert unpack(root, tmp_path / "empty").num_written == 27


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    (tmp_path / "out.unpacking").mkdir()
    hold = "import fcntl, sys; f = open('out.unpacking/.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True)"
    command = [sys.executable, "-c", f"{hold}; sys.stdin.read()"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError, match="is in use by another process"):
            unpack(root, tmp_path / "out")
        other.communicate()
    assert unpack(root, tmp_path / "out").num_written == 27
    assert not (tmp_path / "out" / ".lock").exists()


def test_a_link_to_an_empty_folder_is_filled(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    (tmp_path / "disk" / "place").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "place")
    assert unpack(root, tmp_path / "out").num_written == 27
    assert (tmp_path / "out").is_symlink()
    assert tree(tmp_path / "disk" / "place") == tree(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "hub", "out"]


def test_an_interrupted_call_goes_on(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    unpack(root, tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(root, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="holds another unpacking"):
        unpack(root, tmp_path / "out", splits=[("train", "train")])
    assert unpack(root, tmp_path / "out").num_written == 17
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_file_that_was_damaged_is_downloaded_again_and_the_rest_is_kept(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    unpack(root, tmp_path / "whole")
    good = (root / _TRAIN).read_bytes()
    labels = [row % 3 for row in range(9)]
    images = [{"bytes": b"no picture" if row == 8 else hub.encoded(row % 3, 100 + row), "path": ""} for row in range(9)]
    hub.write_shard(root / _TRAIN, labels, images=images, metadata=hub.features())
    with pytest.raises(DataError, match=r"00001-of-00002\.parquet row 8"):
        unpack(root, tmp_path / "out")
    (root / _TRAIN).write_bytes(good)
    assert unpack(root, tmp_path / "out").num_written == 10
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_images_of_an_earlier_state_of_the_copy_are_not_taken_over(tmp_path: Path) -> None:
    """The same number of images a class, in another order: some names would stay from before."""
    root = tmp_path / "hub"
    hub.write_shard(root / "train.parquet", [0, 1, 2], metadata=hub.features())
    unpack(root, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "out.unpacking")
    hub.write_shard(root / "train.parquet", [2, 1, 0], metadata=hub.features())
    with pytest.raises(DataError, match="has 2 images, the copy 1"):
        unpack(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_labels_are_those_that_torchvision_reads(tmp_path: Path) -> None:
    """The sorted folders are in the copy's label order for other readers as well, whatever the names."""
    from torchvision.datasets import ImageFolder

    names = [f"class {9 - label}/x" for label in range(10)] + ["Zebra", "ant", "Ant"]
    labels = [(5 * row) % 13 for row in range(26)]
    hub.write_shard(tmp_path / "hub" / "train.parquet", labels, metadata=hub.features(names))
    unpack(tmp_path / "hub", tmp_path / "out")
    read = ImageFolder(str(tmp_path / "out" / "train"))
    # A file's number is its row.
    assert {int(Path(path).stem): label for path, label in read.samples} == dict(enumerate(labels))


def test_a_half_written_image_is_written_again(tmp_path: Path) -> None:
    """As after a power cut: the name is there, the bytes are not."""
    root = hub.write_copy(tmp_path / "hub")
    unpack(root, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "out.unpacking")
    victim = tmp_path / "out.unpacking" / "test" / "banded" / "0000000.jpg"
    victim.write_bytes(bytes(len(victim.read_bytes())))
    assert unpack(root, tmp_path / "out").num_written == 1
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "Permission denied")])
def test_a_disk_that_takes_no_more_is_said(
    code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own answer, at the eighth image."""
    root = hub.write_copy(tmp_path / "hub")
    real, calls = unpacking.open_scratch, []

    def refuse(path: Path) -> BinaryIO:
        calls.append(path)
        if len(calls) == 8:
            raise OSError(code, os.strerror(code), str(path))
        return real(path)

    monkeypatch.setattr(unpacking, "open_scratch", refuse)
    with pytest.raises(RunError, match=message):
        unpack(root, tmp_path / "out")
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    assert unpack(root, tmp_path / "out").num_written == 20


def test_too_little_space_is_seen_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = hub.write_copy(tmp_path / "hub")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(RunError, match="the disk is too full"):
        unpack(root, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_without_pyarrow_the_line_that_installs_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RunError, match="needs pyarrow") as error:
        unpack(tmp_path, tmp_path / "out")
    assert error.value.hint == "pip install 'kdzoo[hub-data]'"


# What reads the result, and what says how to make it.


def test_the_check_sees_what_was_taken_away_or_added(tmp_path: Path) -> None:
    unpack(hub.write_copy(tmp_path / "hub"), tmp_path / "out")
    (tmp_path / "out" / "train" / "banded" / "0000000.jpg").unlink()
    report = check_source(str(tmp_path / "out"), workers=0)
    assert report.problems == [
        "train/ is not as it was unpacked: banded has 5 of 6 (remove the folder and unpack it again)"
    ]


@pytest.mark.parametrize("manifest", ["", "[]", '{"splits": 3}', '{"splits": {"train": {"class_counts": null}}}'])
def test_another_files_name_is_no_manifest(manifest: str, tmp_path: Path) -> None:
    unpack(hub.write_copy(tmp_path / "hub"), tmp_path / "out")
    (tmp_path / "out" / MANIFEST).write_text(manifest)
    assert check_source(str(tmp_path / "out"), workers=0).ok


@pytest.mark.parametrize(("prefix", "split"), [("", "train"), ("", "unlabeled"), ("dtd:", "val"), ("cifar10:", "val")])
def test_the_line_that_unpacks_is_given_where_a_copy_is_given_as_data(prefix: str, split: str, tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    with pytest.raises(DataError, match="the Hub's copy as parquet") as error:
        open_source(f"{prefix}{root}", split)
    assert error.value.hint == f"kdzoo data unpack {root} {root}-unpacked; then give {prefix}{root}-unpacked"
    report = check_source(f"{prefix}{root}", workers=0)
    assert not report.ok
    assert f"kdzoo data unpack {root}" in report.problems[0]


@pytest.mark.parametrize("name", ["cub200", "birdsnap", "aircraft", "dtd", "sun397"])
def test_a_transfer_set_takes_what_was_unpacked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three splits: the official training and validation images are trained on, the test images measured on."""
    for first, (split, labels) in enumerate({"train": [0, 1, 2], "validation": [2, 1, 0], "test": [1, 0, 2]}.items()):
        path = tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet"
        hub.write_shard(path, labels, metadata=hub.features(), first=10 * first)
    unpack(tmp_path / "hub", tmp_path / "out")
    spec = f"{name}:{tmp_path / 'out'}"
    train, test = open_source(spec, "train"), open_source(spec, "val")
    assert (train.name, train.class_names, test.class_names) == (name, hub.CLASSES, hub.CLASSES)
    assert train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert [train.identity(row).partition("/")[0] for row in range(6)] == ["train"] * 3 + ["val"] * 3
    assert test.labels.tolist() == [0, 1, 2]
    assert train.load(4).size == (12, 10)
    assert len(open_source(spec, "unlabeled")) == 6
    with pytest.raises(UsageError, match="partitions"):
        open_source(f"{name}@2:{tmp_path / 'out'}", "val")

    report = check_source(spec, workers=0)
    assert report.ok, report.problems
    assert [split.num_images for split in report.splits] == [6, 3]
    images, classes = EXPECTED_COUNTS[name]["train"]
    assert f"the official {name} has {images:,} in {classes:,}" in report.warnings[0]
    monkeypatch.setitem(EXPECTED_COUNTS, name, {"train": (6, 3), "val": (3, 3)})
    if name == "dtd":
        classes_missing = "without bubbly, bumpy, chequered and 41 more"
        assert [w for w in check_source(spec, workers=0).warnings if classes_missing in w]
    else:
        assert check_source(spec, workers=0).warnings == []


def test_the_authors_classes_are_known_by_their_names_not_their_spelling() -> None:
    official = OFFICIAL_CLASSES["dtd"]
    assert len(official) == 47
    assert list(official) == sorted(official)
    assert (
        unlike_official("dtd", [f"{n:03d}.{name.replace('-', '_').title()}" for n, name in enumerate(official)]) is None
    )
    assert unlike_official("dtd", [*official[:-1], "cat"]) == "without zigzagged, with cat"
    assert unlike_official("cub200", ["cat"]) is None
    assert unlike_official("dtd", []) is None


def test_a_copy_with_other_classes_in_its_test_split_is_not_read_together(tmp_path: Path) -> None:
    for split, labels in {"train": [0, 1], "validation": [0, 1], "test": [0, 2]}.items():
        hub.write_shard(tmp_path / "hub" / f"{split}.parquet", labels, metadata=hub.features(), first=len(split))
    done = unpack(tmp_path / "hub", tmp_path / "out")
    assert "train has no image of 1 of the classes (braided)" in done.warnings[0]
    with pytest.raises(DataError, match="only in train/: blotchy; only in test/: braided"):
        open_source(f"aircraft:{tmp_path / 'out'}", "val")


def test_class_folders_of_voc_are_refused_with_the_reason(tmp_path: Path) -> None:
    unpack(hub.write_copy(tmp_path / "hub"), tmp_path / "out")
    with pytest.raises(DataError, match="voc2007 may show several classes"):
        open_source(f"voc2007:{tmp_path / 'out'}", "val")
