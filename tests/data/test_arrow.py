"""Data sets of the Hub through the ``datasets`` library: the same images as in class folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hub_copies as hub
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file

import kdzoo
from kdzoo.base.errors import DataError, RunError, UsageError
from kdzoo.data import open_source
from kdzoo.data.pairs import open_pair
from kdzoo.data.shards import arrow
from kdzoo.data.shards.pack import pack

if TYPE_CHECKING:
    from hub_server import HubServer

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")


def as_parquet(folders: Path, root: Path, split: str, name: str, *, paths: bool = True) -> None:
    """A split of class folders as the library's push_to_hub would leave it, rows in no particular order."""
    source = open_source(str(folders), split)
    order = np.random.default_rng(0).permutation(len(source)).tolist()
    images = [
        {"bytes": source.encoded(row), "path": source.identity(row).rpartition("/")[2] if paths else None}
        for row in order
    ]
    hub.write_shard(
        root / "data" / f"{name}-00000-of-00001.parquet",
        [int(source.labels[row]) for row in order],
        images=images,
        metadata=hub.features(source.class_names),
        label_type=pa.int64(),
    )


def test_parquet_is_what_the_folders_are(class_folders: Path, tmp_path: Path) -> None:
    for split, name in (("train", "train"), ("val", "validation")):
        as_parquet(class_folders, tmp_path / "hub", split, name)
    for ours, plain in zip(open_pair(f"hf:{tmp_path / 'hub'}"), open_pair(str(class_folders)), strict=True):
        assert ours.fingerprint() == plain.fingerprint()
        assert [ours.encoded(index) for index in range(len(ours))] == [
            plain.encoded(index) for index in range(len(ours))
        ]
        assert np.array_equal(ours.load(3), plain.load(3))


def test_it_is_read_once_and_again_when_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = hub.write_copy(tmp_path / "hub")
    spec = f"hf:{root}"
    source = open_source(spec, "val")
    assert (len(source), source.notes) == (9, (f"{spec}: test is taken for validation",))
    with monkeypatch.context() as patch:
        patch.setattr(arrow, "_load", None)  # nothing is loaded
        assert open_source(spec, "val").fingerprint() == source.fingerprint()
    labels = [0, 1, 2]
    hub.write_shard(root / "data" / "test-00000-of-00001.parquet", labels, metadata=hub.features(), first=500)
    assert len(open_source(spec, "val")) == 3


def test_rows_without_names_and_labels_that_are_texts(tmp_path: Path) -> None:
    contents = hub.write_shard(
        tmp_path / "hub" / "photos.parquet", ["owl", "cat", "owl"], image_type=pa.binary(), image_column="img"
    )
    spec = f"hf:{tmp_path / 'hub'}"
    source = open_source(f"{spec}@val-share=0.5", "train")
    assert source.class_names == ("cat", "owl")
    whole = open_source(spec, "train")
    assert [whole.identity(index) for index in range(3)] == ["cat/0000001", "owl/0000000", "owl/0000002"]
    assert [whole.encoded(index) for index in range(3)] == [contents[1], contents[0], contents[2]]
    with pytest.raises(DataError, match=r"no split val"):
        open_pair(spec)


@pytest.mark.parametrize(
    ("label", "message"),
    [(-1, "-1/0000001 in .* has no label"), (7, "7/0000001 in .* has the label 7, and there are 3 classes")],
)
def test_labels_that_are_kept_secret_or_none(label: int, message: str, tmp_path: Path) -> None:
    images = [{"bytes": hub.encoded(0, seed), "path": None} for seed in range(2)]
    hub.write_shard(tmp_path / "hub" / "train.parquet", [0, label], images=images, metadata=hub.features())
    with pytest.raises(DataError, match=message):
        open_source(f"hf:{tmp_path / 'hub'}", "train")
    if label < 0:
        assert len(open_source(f"hf:{tmp_path / 'hub'}", "unlabeled")) == 2


def test_columns_are_chosen_in_the_spec(tmp_path: Path) -> None:
    more = {"coarse_label": [1, 0]}
    hub.write_shard(tmp_path / "hub" / "train.parquet", [0, 1], label_column="fine_label", more=more)
    with pytest.raises(UsageError, match="2 columns that may hold the label") as caught:
        open_source(f"hf:{tmp_path / 'hub'}", "train")
    assert caught.value.hint == f"choose one with hf:{tmp_path / 'hub'}@label=COLUMN"
    assert open_source(f"hf:{tmp_path / 'hub'}@label=coarse_label", "train").labels.tolist() == [0, 1]
    assert open_source(f"hf:{tmp_path / 'hub'}@label=fine_label", "train").class_names == ("0", "1")


@pytest.mark.parametrize("what", ["truncated", "pointer", "no images", "held elsewhere", "nothing"])
def test_what_cannot_be_read_is_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "hub" / "train.parquet"
    hub.write_shard(path, [0, 1], metadata=hub.features())
    message = "train.parquet .*is truncated"
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif what == "pointer":
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        message = "Git LFS pointers"
    elif what == "no images":
        parquet.write_table(pa.table({"text": ["a"], "label": [0]}), path)
        message = "no column that looks like the image"
    elif what == "held elsewhere":
        images = [{"bytes": None, "path": "/etc/passwd"}, {"bytes": b"x", "path": "x"}]
        hub.write_shard(path, [0, 1], images=images, metadata=hub.features())
        message = "names images without holding them"
    else:
        path.unlink()
        message = "no parquet files"
    with pytest.raises((DataError, UsageError), match=message) as caught:
        open_source(f"hf:{tmp_path / 'hub'}", "train")
    assert "\n" not in caught.value.message + str(caught.value.hint)


def test_the_library_is_asked_for_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match="needs the datasets library") as caught:
        open_source("hf:org/name", "train")
    assert caught.value.hint == "pip install 'kdzoo[datasets]'"


def test_a_name_that_is_neither_folder_nor_repository() -> None:
    with pytest.raises(DataError, match="neither a folder nor ORG/NAME"):
        open_source("hf:nothing", "train")


NAMED = """
from kdzoo.base.errors import KdzooError
from kdzoo.data import open_source
for name in ("org/none", "org/photos"):
    try:
        source = open_source(f"hf:{name}", "train")
        print(name, len(source), source.identity(0), source.load(0).size)
    except KdzooError as error:
        print(name, type(error).__name__, error.message)
"""


@pytest.mark.slow
def test_names_on_the_hub(hub_server: HubServer, tmp_path: Path) -> None:
    root = hub.write_copy(tmp_path / "hub")
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.parquet")}
    hub_server.add("org/photos", files)
    environment = {**os.environ, **hub_server.environment(tmp_path / "hf"), "KDZOO_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", NAMED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    none, photos = done.stdout.splitlines()
    assert none == "org/none DataError the Hub has no data set org/none for you to read"
    assert photos == "org/photos 18 banded/0000000 (12, 10)"
    away = {**environment, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=away, capture_output=True, text=True, check=False)
    none, photos = done.stdout.splitlines()
    assert none.startswith("org/none DataError the Hub cannot be reached for org/none, and no copy of it is here")
    assert photos == "org/photos 18 banded/0000000 (12, 10)"


@pytest.mark.slow
def test_folders_shards_and_arrow_train_the_same_weights(class_folders: Path, tmp_path: Path) -> None:
    pack(
        {split: open_source(str(class_folders), split) for split in ("train", "val")},
        tmp_path / "tar",
        images_per_shard=5,
    )
    for split, name in (("train", "train"), ("val", "validation")):
        as_parquet(class_folders, tmp_path / "hub", split, name)
    runs = {}
    for workers, spec in enumerate((str(class_folders), f"wds:{tmp_path / 'tar'}", f"hf:{tmp_path / 'hub'}")):
        out = tmp_path / f"run{workers}"
        kdzoo.train(
            "cifar_resnet8", out=out, data=spec, epochs=2, image_size=16, batch_size=6, workers=workers, device="cpu"
        )
        fixed = json.loads((out / "config.json").read_text())["fixed"]
        weights = load_file(out / "model" / "model.safetensors")
        assert len(weights) > 10
        runs[spec] = ({name: tensor.tobytes() for name, tensor in weights.items()}, fixed["data.train_sizes"])
    plain, shards, table = runs.values()
    assert plain == shards == table
