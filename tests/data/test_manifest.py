"""Manifests: what is written opens as unlabeled images; what is wrong with one is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdzoo.base.errors import DataError
from kdzoo.data import open_source
from kdzoo.data.curation import ListedImages
from kdzoo.data.manifest import write_manifest
from kdzoo.data.reading import AS_STORED, Reading


@pytest.fixture
def manifest(class_folders: Path, tmp_path: Path) -> Path:
    return written(tmp_path / "manifest.jsonl", class_folders)


def written(path: Path, class_folders: Path, reading: Reading = AS_STORED) -> Path:
    rows = [("cat/1.jpg", 0, 0.9), ("owl/0.jpg", 2, 0.5)]
    (path.parent / "list.offsets").write_bytes(b"")
    images = ListedImages(class_folders / "train", path.parent / "list", reading)
    with open(path, "w", encoding="utf-8") as file:
        write_manifest(file, images, len(rows), ("cat", "dog", "owl"), rows)
    return path


def test_a_manifest_opens_as_unlabeled_images(manifest: Path, class_folders: Path) -> None:
    source = open_source(str(manifest), "unlabeled")
    assert [source.identity(index) for index in range(len(source))] == ["cat/1.jpg", "owl/0.jpg"]
    assert source.labels.tolist() == [-1, -1]
    assert source.class_names == ()
    assert source.load(1).size == (48, 40)
    assert source.path == class_folders / "train"


def test_images_are_read_as_they_were_curated(class_folders: Path, tmp_path: Path) -> None:
    upright = written(tmp_path / "manifest.jsonl", class_folders, Reading(upright=True))
    assert open_source(str(upright), "unlabeled").reading == Reading(upright=True)
    assert open_source(f"{upright}@white=255", "unlabeled").reading == Reading(white=255)  # what is said now counts


def test_files_that_are_gone_are_counted_and_one_is_named(manifest: Path, class_folders: Path) -> None:
    (class_folders / "train/owl/0.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 2 files .* are gone, such as .*owl/0\.jpg") as raised:
        open_source(str(manifest), "unlabeled")
    assert "\n" not in raised.value.message
    assert raised.value.hint is not None


def test_a_manifest_that_was_cut_short_is_refused(manifest: Path) -> None:
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="lists 1 images and should list 2"):
        open_source(str(manifest), "unlabeled")


@pytest.mark.parametrize(
    "text", ["", "no json\n", "[1]\n", '{"id": "a.jpg"}\n', '{"kdzoo_manifest": 9, "root": "/"}\n']
)
def test_another_file_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.txt"
    path.write_text(text)
    with pytest.raises(DataError, match="no manifest"):
        open_source(str(path), "unlabeled")


@pytest.mark.parametrize("identity", ["../secret.jpg", "/etc/a.jpg", "", 3])
def test_an_id_outside_the_root_is_refused(manifest: Path, identity: object) -> None:
    first, _, last = manifest.read_text().splitlines()
    manifest.write_text("\n".join([first, json.dumps({"id": identity}), last]) + "\n")
    with pytest.raises(DataError, match="line 2: no id"):
        open_source(str(manifest), "unlabeled")


def test_a_manifest_is_no_labelled_data(manifest: Path) -> None:
    with pytest.raises(DataError, match="is a file, not a folder"):
        open_source(str(manifest), "train")
