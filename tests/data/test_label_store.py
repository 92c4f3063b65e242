"""Stored labels: what a form keeps, and that a row is only ever read as what was stored in its place."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import (
    Augmentation,
    BatchOrder,
    LabelHead,
    LabelStore,
    TeacherRecord,
    WholeEpochs,
    open_source,
    train_batches,
)
from kdzoo.data.label_forms import parse_form
from kdzoo.data.label_store import epoch_file, write_document

ROWS, EPOCHS = 7, 2


def logits(rows: int = 50, width: int = 30, spread: float = 4.0) -> np.ndarray:
    return (spread * np.random.default_rng(0).standard_normal((rows, width))).astype(np.float32)


def test_float32_is_exact_and_float16_rounds_once() -> None:
    values = logits()
    exact, half = parse_form("float32"), parse_form("float16")
    assert exact.encode(values).shape == (50, exact.num_bytes(30)) == (50, 120)
    assert np.array_equal(exact.decode(exact.encode(values), 30), values)
    assert half.encode(values).shape == (50, half.num_bytes(30)) == (50, 60)
    assert np.array_equal(half.decode(half.encode(values), 30), values.astype(np.float16).astype(np.float32))


def test_the_largest_probabilities_stay_and_the_others_share_what_they_leave() -> None:
    """Marginal smoothing as FKD describes it, computed here in float64 from the probabilities."""
    values, k = logits(spread=2.0), 5
    form = parse_form(f"top{k}")
    rows = form.encode(values)
    assert rows.shape == (50, form.num_bytes(30)) == (50, 4 * k + 2)
    read = torch.from_numpy(form.decode(rows, 30)).double().softmax(dim=1).numpy()
    probs = torch.from_numpy(values).double().softmax(dim=1).numpy()
    expected = np.empty_like(probs)
    for row, one in enumerate(probs):
        kept = np.argsort(-one)[:k]
        expected[row] = (1 - one[kept].sum()) / (30 - k)
        expected[row, kept] = one[kept]
    assert np.abs(read - expected).max() < 1e-3
    assert np.abs(read / expected - 1).max() < 5e-3
    assert np.array_equal(read.argmax(axis=1), values.argmax(axis=1))


def test_probabilities_that_vanish_are_still_read_as_probabilities() -> None:
    values = np.full((1, 10), -80.0, dtype=np.float32)
    values[0, 3] = 80
    form = parse_form("top2")
    read = torch.from_numpy(form.decode(form.encode(values), 10)).softmax(dim=1)
    assert torch.isfinite(read).all()
    assert read[0, 3] == 1


@pytest.mark.parametrize("name", ["float64", "top0", "top", "int8", ""])
def test_an_unknown_form_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown form"):
        parse_form(name)


def test_what_a_form_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="top5 keeps 5 probabilities, a teacher has 5 outputs"):
        parse_form("top5").encode(logits(width=5))
    with pytest.raises(DataError, match="too large for half precision"):
        parse_form("float16").encode(np.full((1, 2), 1e6, dtype=np.float32))


def head(**changes: Any) -> LabelHead:
    teachers = tuple(
        TeacherRecord(reference=name, licence=None, sha256=name * 64, outputs=4, features=3) for name in ("a", "b")
    )
    fields: dict[str, Any] = {
        "views": {"run.seed": 0},
        "teachers": teachers,
        "form": "float32",
        "holds_features": True,
        "rows": ROWS,
        "class_names": ("w", "x", "y", "z"),
        "made_by": {},
    }
    return LabelHead(**{**fields, **changes})


def values_of(epoch: int) -> np.ndarray:
    return np.random.default_rng(epoch).standard_normal((ROWS, 14)).astype(np.float32)


def write(folder: Path, settled: LabelHead) -> LabelStore:
    """A store of two epochs."""
    folder.mkdir()
    entries = []
    for epoch in range(EPOCHS):
        content = settled.layout.pack(values_of(epoch), epoch, 0)
        (folder / epoch_file(epoch)).write_bytes(content)
        entries.append({"file": epoch_file(epoch), "bytes": len(content), "sha256": f"{epoch}"})
    progress = {"epochs": entries, "unfinished": None, "unreadable": {"5": "no image"}}
    (folder / "labels.json").write_text(write_document(settled, progress))
    return LabelStore(folder)


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    return write(tmp_path / "labels", head())


def test_any_slice_of_any_epoch_is_what_was_stored(store: LabelStore) -> None:
    store.require(EPOCHS)
    copy = pickle.loads(pickle.dumps(store))  # as a loader's worker gets it
    for epoch, first, count in ((0, 0, 7), (1, 2, 3), (0, 6, 1), (1, 0, 7)):
        for one in (store, copy):
            assert np.array_equal(one.rows(epoch, first, count).numpy(), values_of(epoch)[first : first + count])
    answers, features = store.head.layout.split(store.rows(0, 0, ROWS))
    assert [tensor.shape for tensor in (*answers, *features)] == [(7, 4), (7, 4), (7, 3), (7, 3)]
    assert np.array_equal(features[1].numpy(), values_of(0)[:, 11:])


def test_the_head_survives_its_way_through_json(store: LabelStore) -> None:
    assert store.head.to_dict() == head().to_dict()
    assert store.head.identity == head().identity
    assert head(views={"run.seed": 1}).identity != head().identity


def test_the_digest_is_of_the_epochs_that_are_read(store: LabelStore) -> None:
    manifest = store.folder / "labels.json"
    first, both = store.digest(1), store.digest(2)
    manifest.write_text(manifest.read_text().replace('"sha256": "1"', '"sha256": "other"'))
    changed = LabelStore(store.folder)
    assert changed.digest(1) == first
    assert changed.digest(2) != both


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, 17, 60 * 3 + 1, 60 * 7 - 1])
def test_a_changed_bit_is_found_where_it_is_read(store: LabelStore, place: int) -> None:
    flip(store.folder / epoch_file(0), place)
    with pytest.raises(DataError, match=f"damaged, or of another store: label {place // 60} of epoch 1"):
        store.rows(0, 0, ROWS)


def test_another_epochs_or_another_stores_file_is_found(store: LabelStore, tmp_path: Path) -> None:
    other = write(tmp_path / "other", head(views={"run.seed": 1}))
    mine = store.folder / epoch_file(0)
    for stranger in (store.folder / epoch_file(1), other.folder / epoch_file(0)):
        mine.write_bytes(stranger.read_bytes())
        with pytest.raises(DataError, match="of another store: label 2 of epoch 1"):
            LabelStore(store.folder).rows(0, 2, 1)


def test_truncated_and_missing_files_are_refused_before_the_first_step(store: LabelStore) -> None:
    path = store.folder / epoch_file(1)
    path.write_bytes(path.read_bytes()[:-1])
    store.require(1)
    with pytest.raises(DataError, match="have 419 bytes instead of 420"):
        store.require(2)
    with pytest.raises(DataError, match="too short"):
        store.rows(1, 6, 1)
    path.unlink()
    with pytest.raises(DataError, match="are missing"):
        store.require(2)
    with pytest.raises(DataError, match="cannot be read"):
        LabelStore(store.folder).rows(1, 0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2"),
        ({"rows": 0}, "no labels in it"),
        ({"teachers": []}, "damaged"),
        ({"form": "gzip"}, "unknown form"),
        ({"views": "all"}, "damaged"),
        ({"epochs": [{"file": "../../etc/passwd", "bytes": 1, "sha256": "x"}]}, "in place of epoch-00000.labels"),
        ({"epochs": [{"file": "epoch-00000.labels"}]}, "damaged"),
        ({"unfinished": {"file": "epoch-00002.labels", "bytes": "1", "sha256": "x"}}, "damaged"),
    ],
)
def test_a_manifest_that_is_none_is_refused(store: LabelStore, change: dict[str, Any], message: str) -> None:
    path = store.folder / "labels.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        LabelStore(store.folder)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no stored labels"):
        LabelStore(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        LabelStore(tmp_path / "none")
    (tmp_path / "labels.json").write_text('{"format": 1')
    with pytest.raises(DataError, match=r"labels\.json is damaged"):
        LabelStore(tmp_path)


@pytest.mark.parametrize("batch_size", [4, 7, 10, 23])
def test_whole_epochs_are_the_same_order_to_its_last_image(batch_size: int) -> None:
    whole, steps = WholeEpochs(23, 5, epochs=2, seed=3), BatchOrder(23, batch_size, epochs=2, seed=3)
    rows = np.concatenate([whole.ids(1, step) for step in range(whole.steps_per_epoch)])
    assert sorted(rows.tolist()) == list(range(23))
    for step in range(steps.steps_per_epoch):
        first = steps.first_row(step)
        assert np.array_equal(steps.ids(1, step), rows[first : first + batch_size])
    second = BatchOrder(20, 10, epochs=1, seed=3, rank=1, world_size=2)
    assert [second.first_row(step) for step in (0, 1)] == [5, 15]
    with pytest.raises(IndexError):
        whole.ids(0, 5)


@pytest.mark.parametrize(("world_size", "workers"), [(1, 2), (2, 0)])
def test_batches_bring_the_labels_of_their_images(world_size: int, workers: int, tmp_path: Path) -> None:
    """The one number of each label is its image's sample id and epoch."""
    source, size = open_source("digits", "val"), 100
    whole = WholeEpochs(len(source), size, epochs=2, seed=4)
    teacher = TeacherRecord(reference="a", licence=None, sha256="a", outputs=1, features=1)
    settled = head(teachers=(teacher,), holds_features=False, rows=len(source))
    tmp_path.joinpath("labels").mkdir()
    entries = []
    for epoch in range(2):
        ids = np.concatenate([whole.ids(epoch, step) for step in range(whole.steps_per_epoch)])
        content = settled.layout.pack((1000 * epoch + ids[:, None]).astype(np.float32), epoch, 0)
        (tmp_path / "labels" / epoch_file(epoch)).write_bytes(content)
        entries.append({"file": epoch_file(epoch), "bytes": len(content), "sha256": "x"})
    text = write_document(settled, {"epochs": entries, "unfinished": None, "unreadable": {}})
    (tmp_path / "labels/labels.json").write_text(text)
    labels = LabelStore(tmp_path / "labels")
    for rank in range(world_size):
        order = BatchOrder(len(source), 60, epochs=2, seed=4, rank=rank, world_size=world_size)
        batches = train_batches(source, Augmentation(image_size=8), order, workers=workers, labels=labels)
        for index, batch in enumerate(batches):
            assert batch.answers is not None
            told = (batch.answers[:, 0] - 1000 * (index // 6)).long()
            assert torch.equal(told, batch.sample_ids)
        assert index == 11
