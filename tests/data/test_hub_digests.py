"""Damage in a Hub's copy, or in what was unpacked from one, is noticed wherever something recorded can tell."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import hub_copies as hub
import pyarrow as pa
import pytest
from pyarrow import parquet

from kdzoo.base.errors import DataError
from kdzoo.data import check_source
from kdzoo.data.hub_copy import unpack
from kdzoo.data.hub_files import MANIFEST, read_manifest

SHARD = "data/train-00000-of-00002.parquet"


def record(root: Path, name: str, etag: str) -> None:
    """What `hf download --local-dir` leaves beside a file."""
    path = root / ".cache/huggingface/download" / f"{name}.metadata"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{'0' * 40}\n{etag}\n1700000000.0\n")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git_sha1(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("digest", [sha256, git_sha1])
def test_every_flipped_bit_of_a_recorded_file_is_noticed(digest: object, tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    for path in sorted((root / "data").iterdir()):
        record(root, f"data/{path.name}", digest(path))  # type: ignore[operator]
    unpack(root, tmp_path / "whole")
    size = (root / SHARD).stat().st_size
    for number, position in enumerate(range(4, size - 4, size // 12)):
        flip(root / SHARD, position, number % 8)
        with pytest.raises(DataError, match=r"train-00000-of-00002\.parquet"):
            unpack(root, tmp_path / "out")
        flip(root / SHARD, position, number % 8)
        assert not (tmp_path / "out").exists()
    done = unpack(root, tmp_path / "out")
    assert (done.num_written, done.num_unverified) == (27, 0)


def test_a_link_into_the_hubs_own_cache_is_verified_by_its_name(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for path in sorted((root / "data").iterdir()):
        blob = blobs / sha256(path)
        path.rename(blob)
        path.symlink_to(blob)
    assert unpack(root, tmp_path / "out").num_unverified == 0
    flip((root / SHARD).resolve(), 700)
    with pytest.raises(DataError, match=r"not the file that was downloaded|is damaged"):
        unpack(root, tmp_path / "other")


def test_what_nothing_records_is_counted(tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    record(root, SHARD, '"no digest"')
    assert unpack(root, tmp_path / "out").num_unverified == 3


def test_pages_with_checksums_are_compared_with_them(tmp_path: Path) -> None:
    images = [{"bytes": hub.encoded(0, row), "path": None} for row in range(8)]
    table = pa.table({"image": pa.array(images, hub.IMAGE), "label": pa.array([0] * 8)})
    path = tmp_path / "hub" / "train.parquet"
    path.parent.mkdir()
    parquet.write_table(
        table.replace_schema_metadata(hub.features(("a", "b"))),
        path,
        compression="none",
        write_page_checksum=True,
        use_dictionary=False,
    )
    flip(path, path.read_bytes().index(images[3]["bytes"]) + 400)  # in the entropy-coded part: it still decodes
    with pytest.raises(DataError, match="is damaged"):
        unpack(tmp_path / "hub", tmp_path / "out")


def test_the_manifest_has_the_digests_and_the_check_compares_them(tmp_path: Path) -> None:
    root, out = hub.write_copy(tmp_path / "hub"), tmp_path / "out"
    unpack(root, out)
    manifest = json.loads((out / MANIFEST).read_text())
    assert [one["sha256"] for one in manifest["files"]] == [sha256(root / one["name"]) for one in manifest["files"]]
    assert check_source(str(out), workers=0).ok
    assert unpack(root, out).num_written == 0
    victim = out / "train" / "blotchy" / "0000004.jpg"
    flip(victim, victim.stat().st_size - 12)  # in the entropy-coded part: it still decodes
    report = check_source(str(out), workers=0)
    assert [split.unreadable for split in report.splits] == [[], []]
    assert report.problems == [
        "train/ is not as it was unpacked: blotchy has other contents (remove the folder and unpack it again)"
    ]
    victim.rename(victim.with_name("0000005.jpg"))
    assert not check_source(str(out), workers=0).ok


def test_a_folder_that_was_unpacked_before_digests_were_recorded_is_still_read(tmp_path: Path) -> None:
    root, out = hub.write_copy(tmp_path / "hub"), tmp_path / "out"
    unpack(root, out)
    manifest = read_manifest(out)
    assert manifest is not None
    for split in manifest["splits"].values():
        del split["class_sha256"]
    for file in manifest["files"]:
        del file["sha256"]
    (out / MANIFEST).write_text(json.dumps(manifest))
    assert check_source(str(out), workers=0).ok
    assert unpack(root, out).num_written == 0
