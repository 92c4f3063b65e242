"""Tar shards are read, checked, held out and trained on as the class folders that they were packed from."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import BatchOrder, EvalTransform, eval_batches, open_source
from kdzoo.data.check import check_source, splits_of
from kdzoo.data.contents import contents_digest, file_stats, sizes_digest
from kdzoo.data.overlap import find_overlap
from kdzoo.data.pairs import open_pair
from kdzoo.data.shards import index as indexing
from kdzoo.data.shards.pack import pack
from kdzoo.data.sources import ImageSource
from kdzoo.data.specs import parse_data_spec
from kdzoo.evaluation.prediction.images import find_images


@pytest.fixture(autouse=True)
def kdzoo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def sources_of(spec: str) -> dict[str, ImageSource]:
    parsed = parse_data_spec(spec)
    return {split: open_source(parsed, split) for split in splits_of(parsed)}


def packed(spec: Path | str, out: Path, images_per_shard: int = 5) -> str:
    pack(sources_of(str(spec)), out, images_per_shard=images_per_shard)
    return f"wds:{out}"


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(
    path: Path, members: Mapping[str, bytes] | Sequence[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.TarFile(path, "w", format=form) as tar:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def imagenet_like(
    path: Path, labels: Sequence[int], first: int = 0, names: Sequence[str] = ("n01440764", "n01443537")
) -> Path:
    """A shard as timm/imagenet-1k-wds has them."""
    members = {}
    for row, label in enumerate(labels):
        key = f"{names[label]}_{first + row}"
        members[f"{key}.cls"] = str(label).encode()
        members[f"{key}.jpg"] = jpeg(first + row)
        members[f"{key}.json"] = json.dumps({"label": label, "filename": f"{key}.JPEG"}).encode()
    return write_tar(path, members)


def alike(one: ImageSource, other: ImageSource) -> None:
    """Two sources give the same images in the same order under the same names."""
    assert one.fingerprint() == other.fingerprint()
    assert [one.identity(index) for index in range(len(one))] == [other.identity(index) for index in range(len(one))]
    assert [one.encoded(index) for index in range(len(one))] == [other.encoded(index) for index in range(len(one))]
    assert all(np.array_equal(one.load(index), other.load(index)) for index in range(0, len(one), 5))
    assert sizes_digest(file_stats(one)) == sizes_digest(file_stats(other)) is not None
    assert contents_digest(one) == contents_digest(other) is not None


@pytest.mark.parametrize("split", ["train", "val", "unlabeled"])
@pytest.mark.parametrize("share", ["", "@val-share=0.3"])
def test_shards_are_what_the_folders_are(class_folders: Path, split: str, share: str, tmp_path: Path) -> None:
    if share:
        shutil.rmtree(class_folders / "val")
    spec = packed(class_folders, tmp_path / "shards")
    alike(open_source(f"{class_folders}{share}", split), open_source(f"{spec}{share}", split))
    if split == "val" and share:
        assert "6 of 18 images are held out" in open_source(f"{spec}{share}", split).notes[0]


def test_pairs_overlaps_and_checks_see_shards(class_folders: Path, tmp_path: Path) -> None:
    shutil.copy(class_folders / "train/cat/0.jpg", class_folders / "val/cat/1.jpg")
    spec = packed(class_folders, tmp_path / "shards")
    train, val = open_pair(spec)
    overlap = find_overlap(train, val, file_stats(train), file_stats(val))
    assert overlap is not None
    assert (overlap.num_shared, overlap.example) == (1, ("cat/1.jpg", "cat/0.jpg"))
    report = check_source(spec, workers=0)
    assert [(split.split, split.num_images, split.class_counts["dog"]) for split in report.splits] == [
        ("train", 18, 6),
        ("val", 6, 2),
    ]
    assert any("pixel for pixel" in warning for warning in report.warnings)
    assert report.ok, report.problems


def test_the_same_images_give_the_same_bytes_and_a_second_call_writes_nothing(
    class_folders: Path, tmp_path: Path
) -> None:
    first = pack(sources_of(str(class_folders)), tmp_path / "a", images_per_shard=5)
    assert (first.num_images, first.num_shards, first.num_written) == ({"train": 18, "val": 6}, 6, 6)
    assert pack(sources_of(str(class_folders)), tmp_path / "a", images_per_shard=5).num_written == 0
    packed(f"wds:{tmp_path / 'a'}", tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["_info.json", *(f"train-00000{n}.tar" for n in range(4)), "val-000000.tar", "val-000001.tar"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with tarfile.open(tmp_path / "a" / "val-000000.tar") as tar:
        assert {Path(name).suffix for name in tar.getnames()} == {".jpg", ".cls"}
    info = json.loads((tmp_path / "a" / "_info.json").read_text())
    assert info["class_names"] == ["cat", "dog", "owl"]
    assert info["splits"]["train"]["shard_lengths"] == [5, 5, 5, 3]


def test_an_interrupted_packing_goes_on_and_another_one_is_not_mixed_in(class_folders: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    sources, out, partial = sources_of(str(class_folders)), tmp_path / "out", tmp_path / "out.packing"
    with pytest.raises(KeyboardInterrupt):
        pack(sources, out, images_per_shard=5, progress=stop)
    assert not out.exists()
    assert len([*partial.glob("*.tar")]) == 3
    with pytest.raises(DataError, match="another packing"):
        pack(sources, out, images_per_shard=4)
    assert pack(sources, out, images_per_shard=5).num_written == 3
    assert not partial.exists()
    whole = tmp_path / "whole"
    pack(sources, whole, images_per_shard=5)
    for path in whole.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    with pytest.raises(DataError, match="holds something else"):
        pack(sources, class_folders, images_per_shard=5)


def test_names_that_are_no_keys_come_back(tmp_path: Path) -> None:
    names = [
        "a.b.c.jpg",
        "x.jpg",
        "x.png",
        f"{'long' * 40}.jpg",
        "größe.jpeg",
        "-.JPG",
        "sub/deep/1.jpg",
        "000000003.webp",
    ]
    for number, name in enumerate(names):
        path = tmp_path / "data" / "cat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    (tmp_path / "data" / "dog").mkdir()
    (tmp_path / "data" / "dog" / os.fsdecode(b"\xff.jpg")).write_bytes(jpeg(99))
    spec = packed(tmp_path / "data", tmp_path / "out")
    alike(open_source(str(tmp_path / "data"), "train"), open_source(spec, "train"))


def test_images_in_memory_become_png(tmp_path: Path) -> None:
    digits = open_source("digits", "val")
    pack({"val": digits}, tmp_path / "out")
    shards = open_source(f"wds:{tmp_path / 'out'}", "val")
    assert (shards.labels.tolist(), shards.class_names) == (sorted(digits.labels.tolist()), digits.class_names)
    name = {digits.identity(index) + ".png": index for index in range(len(digits))}
    assert all(
        np.array_equal(shards.load(index), digits.load(name[shards.identity(index)])) for index in range(0, 360, 40)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_open_their_own_files(
    class_folders: Path, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdzoo.data.shards.extents._MAX_OPEN", 2)
    source = open_source(packed(class_folders, tmp_path / "shards", images_per_shard=2), "train")
    source.load(0)  # files are open when the workers are forked
    plain = open_source(str(class_folders), "train")
    transform = EvalTransform(image_size=16, crop_pct=1.0, interpolation="bilinear")
    ours = eval_batches(source, transform, batch_size=4, workers=workers)
    theirs = eval_batches(plain, transform, batch_size=4, workers=0)
    assert all(np.array_equal(one.images, other.images) for one, other in zip(ours, theirs, strict=True))
    assert len(source._files._open) <= 2  # type: ignore[attr-defined]


def test_shards_of_other_tools(tmp_path: Path) -> None:
    imagenet_like(tmp_path / "data" / "in-train-0001.tar", [0, 1, 0], first=10)
    imagenet_like(tmp_path / "data" / "in-train-0000.tar", [1, 0], first=20)
    imagenet_like(tmp_path / "data" / "in-validation-0000.tar", [1], first=30)
    train, val = open_pair(f"wds:{tmp_path / 'data'}")
    assert train.class_names == val.class_names == ("n01440764", "n01443537")
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert [train.identity(index) for index in range(3)] == ["n01440764_10.jpg", "n01440764_12.jpg", "n01440764_21.jpg"]
    assert (val.labels.tolist(), val.encoded(0)) == ([1], jpeg(30))
    glob = open_source(f"wds:{tmp_path}/data/in-train-*.tar", "train")
    assert [glob.identity(index) for index in range(5)] == [train.identity(index) for index in range(5)]
    one = open_source(f"wds:{tmp_path}/data/in-train-0000.tar", "train")
    assert len(one) == 2


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_folders_and_links(form: int, tmp_path: Path) -> None:
    long = "/".join(["deep" * 10] * 6)
    path = write_tar(
        tmp_path / "x.tar",
        {f"./{long}/1.jpg": jpeg(1), f"./{long}/1.cls": b"0", "b/2.JPEG": jpeg(2), "b/2.cls": b" 1\n"},
        form,
    )
    with tarfile.open(path, "a", format=form) as tar:
        for name, kind in (("folder", tarfile.DIRTYPE), ("b/3.jpg", tarfile.SYMTYPE), ("b/pipe.jpg", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for name, content in (("b/._2.jpg", b"x"), ("b/4.heic", b"x"), ("b/4.cls", b"1")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    source = open_source(f"wds:{path}", "train")
    assert [source.identity(index) for index in range(len(source))] == [f"{long}/1.jpg", "b/2.JPEG"]
    assert [source.encoded(index) for index in range(2)] == [jpeg(1), jpeg(2)]
    assert "1 .heic" in source.notes[0]
    assert "2 links" in source.notes[0]


def test_numbers_name_classes_that_nothing_names(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"0.jpg": jpeg(0), "0.json": b'{"label": 2}', "1.jpg": jpeg(1), "1.cls": b"0"})
    assert open_source(f"wds:{tmp_path}", "train").class_names == ("0", "1", "2")


BROKEN = {
    "truncated in an image": lambda whole: whole[:1700],
    "truncated between images": lambda whole: whole[: whole.index(b"b/1.jpg")],
    "truncated in a header": lambda whole: whole[: whole.index(b"b/1.jpg") + 100],
    "damaged": lambda whole: whole.replace(b"b/1.jpg", b"b/1.jqg"),
    "compressed": gzip.compress,
    "no tar": lambda whole: b"garbage" * 500,
    "empty": lambda whole: b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_shard_is_named(name: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "0.tar", {"a/0.jpg": jpeg(0), "a/0.cls": b"0", "b/1.jpg": jpeg(1), "b/1.cls": b"1"})
    path.write_bytes(BROKEN[name](path.read_bytes()))
    with pytest.raises(
        DataError, match=f"0.tar is {name.split(' in ')[0].split(' between ')[0].replace('empty', 'truncated')}"
    ) as caught:
        open_source(f"wds:{tmp_path}", "train")
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a/0.jpg", b"x"), ("a/1.jpg", b"x"), ("a/1.cls", b"0")], "a/0.jpg in .* has no label"),
        ([("a/0.jpg", b"x"), ("a/0.cls", b"cat")], "the label a/0.cls is 'cat'"),
        (
            [
                ("a/0.jpg", b"x"),
                ("a/0.cls", b"0"),
                ("a/1.jpg", b"x"),
                ("a/1.cls", b"0"),
                ("a/0.jpg", b"x"),
                ("a/0.cls", b"0"),
            ],
            "a/0.jpg is there twice",
        ),
        ([("a/0.jpg", b"x"), ("a/0.png", b"x"), ("a/0.cls", b"0")], "two images with the key a/0"),
        ([("a/0.cls", b"0"), ("a/1.heic", b"x")], "no images in"),
        ([("../0.jpg", b"x"), ("../0.cls", b"0")], "leads elsewhere"),
        ([("/etc/0.jpg", b"x")], "leads elsewhere"),
        ([("a/\x1b[2J.jpg", b"x")], "control characters"),
        (
            [("0.jpg", b"x"), ("0.json", json.dumps({"kdzoo_name": "a/../../x.jpg", "label": 0}).encode())],
            "leads elsewhere",
        ),
    ],
)
def test_samples_that_are_none_are_named(members: list[tuple[str, bytes]], message: str, tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", members)
    with pytest.raises(DataError, match=message):
        open_source(f"wds:{tmp_path}", "train")


def test_without_labels_they_are_unlabeled_images(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"a/0.jpg": jpeg(0), "1.png": jpeg(1)})
    source = open_source(f"wds:{tmp_path}", "unlabeled")
    assert (source.labels.tolist(), source.class_names) == ([-1, -1], ())


@pytest.mark.parametrize(
    ("files", "part", "message"),
    [
        ([], "", "no .tar files"),
        (["0.tar.gz"], "", "compressed"),
        (["train-0.tar", "other-0.tar"], "", "and others: other-0.tar"),
        (["train-0.tar"], "", "no split val"),
        (["train-0.tar", "val-0.tar"], "@test", "no split test"),
        (["0.tar"], "", "has no splits"),
    ],
)
def test_splits_that_are_not_there(files: list[str], part: str, message: str, tmp_path: Path) -> None:
    for number, name in enumerate(files):
        imagenet_like(tmp_path / name, [0, 1], first=10 * number)
    with pytest.raises(DataError, match=message):
        open_pair(f"wds:{tmp_path}{part}")


def test_predictions_are_those_of_the_folder(class_folders: Path, tmp_path: Path) -> None:
    spec = packed(class_folders, tmp_path / "shards")
    ours, plain = find_images([spec]), find_images([str(class_folders / "train")])
    assert [one.path.removeprefix(spec) for one in ours] == [
        one.path.removeprefix(str(class_folders / "train")) for one in plain
    ]
    assert np.array_equal(ours[7].load(), plain[7].load())


def test_what_is_validated_on_can_be_said(tmp_path: Path) -> None:
    for number, name in enumerate(("train/0.tar", "Validation/0.tar", "test/0.tar")):
        imagenet_like(tmp_path / name, [0, 1], first=10 * number)
    assert open_source(f"wds:{tmp_path}", "val").identity(0) == "n01440764_10.jpg"
    assert open_source(f"wds:{tmp_path}@test", "val").identity(0) == "n01440764_20.jpg"
    assert str(parse_data_spec(f"wds:{tmp_path}@test@exif=apply")) == f"wds:{tmp_path}@test@exif=apply"
    with pytest.raises(UsageError, match="has the splits test, train, val"):
        open_source(f"wds:{tmp_path}@val-share=0.1", "train")
    with pytest.raises(UsageError, match="has a part"):
        open_source(f"wds:{tmp_path}@config=x", "train")
    with pytest.raises(DataError, match="no folder, file or glob"):
        open_source(f"wds:{tmp_path}/none", "train")


def test_the_index_is_made_once_and_again_when_a_shard_changes(
    tmp_path: Path, kdzoo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = imagenet_like(tmp_path / "data" / "0.tar", [0, 1])
    spec = f"wds:{tmp_path / 'data'}"
    first = open_source(spec, "train")
    (index,) = (kdzoo_home / "shards").iterdir()
    made = index.stat().st_ino
    assert open_source(spec, "train").fingerprint() == first.fingerprint()
    assert index.stat().st_ino == made
    imagenet_like(path, [0, 1, 1])
    assert len(open_source(spec, "train")) == 3
    assert index.stat().st_ino != made
    whole = index.read_bytes()
    index.write_bytes(whole[:-3] + b"xyz")
    with pytest.raises(DataError, match=r"index .* is damaged"):
        open_source(spec, "train")
    index.write_bytes(b"garbage")
    assert len(open_source(spec, "train")) == 3
    assert index.read_bytes() == whole
    monkeypatch.setattr(indexing, "_FORMAT", 2)
    assert len(open_source(spec, "train")) == 3


def test_a_shard_that_shrinks_or_goes_makes_unreadable_images(tmp_path: Path) -> None:
    path = imagenet_like(tmp_path / "data" / "0.tar", [0, 1])
    source = open_source(f"wds:{tmp_path / 'data'}", "train")
    os.truncate(path, 600)
    with pytest.raises(DataError, match=r"0.tar: n01443537_1.jpg: its file was cut short"):
        source.load(1)
    path.unlink()
    with pytest.raises(DataError, match=r"no .tar files"):
        open_source(f"wds:{tmp_path / 'data'}", "train")


def test_what_cannot_be_packed_is_refused(class_folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exif=apply"):
        pack(sources_of(f"{class_folders}@exif=apply"), tmp_path / "out")
    odd = class_folders / "train" / "cat" / "a\nb.jpg"
    odd.write_bytes(jpeg(0))
    with pytest.raises(DataError, match="control characters"):
        pack(sources_of(str(class_folders)), tmp_path / "out")


def test_orders_do_not_know_where_images_lie(class_folders: Path, tmp_path: Path) -> None:
    source = open_source(packed(class_folders, tmp_path / "shards"), "train")
    order = BatchOrder(len(source), 6, 2, 0)
    assert {source.identity(int(row)) for row in order.ids(0, 0)} < {
        f"{c}/{n}.jpg" for c in ("cat", "dog", "owl") for n in range(6)
    }
