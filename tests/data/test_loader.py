"""The loader: the same batches for any number of workers and ranks, from any step on; nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fork_server import ForkServer, Running

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import (
    Augmentation,
    Batch,
    BatchOrder,
    EvalTransform,
    UnreadableImage,
    WholeEpochs,
    apply_view,
    draw_view,
    eval_batches,
    generator,
    open_source,
    train_batches,
)

AUGMENTATION = Augmentation(image_size=24, color_jitter=(0.4, 0.4, 0.4), lighting_std=0.1, cutout_size=6)
TRANSFORM = EvalTransform(image_size=24, crop_pct=0.875, interpolation="bilinear")


def _same(first: Batch, second: Batch) -> bool:
    return (
        torch.equal(first.images, second.images)
        and torch.equal(first.labels, second.labels)
        and torch.equal(first.sample_ids, second.sample_ids)
        and torch.equal(first.pixel_shift, second.pixel_shift)
        and first.unreadable == second.unreadable
    )


def test_order_is_a_permutation_an_epoch() -> None:
    order = BatchOrder(103, 10, epochs=3, seed=5)
    assert order.steps_per_epoch == 10
    assert order.total_steps == 30
    epochs = [np.concatenate([order.ids(epoch, step) for step in range(10)]) for epoch in range(3)]
    for ids in epochs:
        assert ids.dtype == np.int64
        assert len(set(ids.tolist())) == 100
    assert not np.array_equal(epochs[0], epochs[1])
    assert BatchOrder(103, 10, 3, 5).ids(1, 4).tolist() == order.ids(1, 4).tolist()
    assert BatchOrder(103, 10, 3, 6).ids(1, 4).tolist() != order.ids(1, 4).tolist()
    assert BatchOrder(20, 5, epochs=1, seed=7).ids(0, 0).tolist() == [6, 13, 12, 7, 0]  # pinned
    with pytest.raises(IndexError):
        order.ids(0, 10)


@pytest.mark.parametrize("views", [2, 3, 5])
@pytest.mark.parametrize("kind", [BatchOrder, WholeEpochs])
def test_views_of_one_decoding_are_those_of_as_many_epochs(kind: type[BatchOrder], views: int) -> None:
    """Over M epochs: every image in the views that it has in M epochs without, but for what the ends leave out."""
    one, many = kind(60, 10, views, 5), kind(60, 10, views, 5, views_per_decode=views)
    shown = [
        sorted(
            (image, view)
            for epoch in range(views)
            for step in range(6)
            for image, view in zip(order.ids(epoch, step), order.view_epochs(epoch, step), strict=True)
        )
        for order in (one, many)
    ]
    assert shown[0] == shown[1]
    assert len(set(many.ids(0, 0))) <= 10 // views + 2


def test_ranks_share_the_views_of_an_image() -> None:
    whole = BatchOrder(50, 12, 4, 3, views_per_decode=4)
    for rank in range(2):
        part = BatchOrder(50, 12, 4, 3, rank, 2, views_per_decode=4)
        rows = slice(rank * 6, rank * 6 + 6)
        assert part.ids(2, 1).tolist() == whole.ids(2, 1)[rows].tolist()
        assert part.view_epochs(2, 1).tolist() == whole.view_epochs(2, 1)[rows].tolist()


def test_one_decoding_serves_its_views(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    loads = []
    load = source.load
    source.load = lambda index: loads.append(index) or load(index)  # type: ignore[method-assign, func-returns-value]
    order = BatchOrder(len(source), 6, epochs=3, seed=4, views_per_decode=3)
    batches = list(train_batches(source, AUGMENTATION, order, workers=0))
    assert len(loads) == sum(len(set(batch.sample_ids.tolist())) for batch in batches)
    for index, batch in enumerate(batches):
        epoch, step = divmod(index, order.steps_per_epoch)
        for row, (sample, view) in enumerate(zip(order.ids(epoch, step), order.view_epochs(epoch, step), strict=True)):
            image = load(int(sample))
            drawn = draw_view(AUGMENTATION, *image.size, generator(4, "view", int(view), int(sample)), epoch=int(view))
            expected = apply_view(image, drawn, AUGMENTATION)
            assert np.array_equal(batch.images[row].permute(1, 2, 0).numpy(), expected)


def test_two_sets_have_one_view_of_each_image() -> None:
    with pytest.raises(UsageError, match="two sets have one view"):
        BatchOrder(60, 8, 1, 0, num_unlabeled=10, unlabeled_share=0.5, views_per_decode=2)


@pytest.mark.parametrize("world_size", [2, 5])
def test_slices_of_the_ranks_are_the_global_batch(world_size: int) -> None:
    whole = BatchOrder(103, 10, epochs=2, seed=5)
    for step in range(10):
        parts = [BatchOrder(103, 10, 2, 5, rank, world_size).ids(1, step) for rank in range(world_size)]
        assert np.concatenate(parts).tolist() == whole.ids(1, step).tolist()


def test_impossible_orders_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be made of 9"):
        BatchOrder(9, 10, 1, 0)
    with pytest.raises(UsageError, match="cannot be shared evenly by 3"):
        BatchOrder(100, 10, 1, 0, 0, 3)


def test_batches_are_the_drawn_views(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    order = BatchOrder(len(source), 4, epochs=2, seed=3)
    batches = list(train_batches(source, AUGMENTATION, order, workers=0))
    assert len(batches) == 8
    batch = batches[6]
    assert batch.images.shape == (4, 3, 24, 24)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.sample_ids.tolist() == order.ids(1, 2).tolist()
    assert batch.labels.tolist() == source.labels[order.ids(1, 2)].tolist()
    for row, sample_id in enumerate(batch.sample_ids.tolist()):
        view = draw_view(AUGMENTATION, 48, 40, generator(3, "view", 1, sample_id), epoch=1)
        expected = apply_view(source.load(sample_id), view, AUGMENTATION)
        assert np.array_equal(batch.images[row].permute(1, 2, 0).numpy(), expected)
        assert np.allclose(batch.pixel_shift[row].numpy(), view.lighting)
    pixels = batch.to_float(torch.device("cpu"), torch.channels_last)
    assert torch.allclose(pixels, batch.images.float() / 255 + batch.pixel_shift[:, :, None, None], atol=1e-6)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_start_change_nothing(class_folders: Path, workers: int) -> None:
    source = open_source(str(class_folders), "train")
    order = BatchOrder(len(source), 4, epochs=3, seed=3)
    here = list(train_batches(source, AUGMENTATION, order, workers=0))
    there = list(train_batches(source, AUGMENTATION, order, workers=workers))
    assert len(here) == len(there) == 12
    assert all(map(_same, here, there))
    later = list(train_batches(source, AUGMENTATION, order, steps=range(5, order.total_steps), workers=workers))
    assert len(later) == 7
    assert all(map(_same, here[5:], later))


def test_batches_of_the_ranks_are_the_global_batch(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    whole = train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1, 3), workers=0)
    ranks = [train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1, 3, rank, 2), workers=0) for rank in (0, 1)]
    for batch, first, second in zip(whole, *ranks, strict=True):
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))
        assert torch.equal(batch.sample_ids, torch.cat([first.sample_ids, second.sample_ids]))
        assert torch.equal(batch.pixel_shift, torch.cat([first.pixel_shift, second.pixel_shift]))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_generators_are_left_alone(class_folders: Path, workers: int) -> None:
    source = open_source(str(class_folders), "train")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1, 3), workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_unlabeled_images_have_label_minus_one(class_folders: Path) -> None:
    source = open_source(str(class_folders), "unlabeled")
    batch = next(train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1, 3), workers=0))
    assert batch.labels.tolist() == [-1] * 6


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_replaced_the_same_way_every_time(class_folders: Path, workers: int) -> None:
    (class_folders / "train" / "dog" / "3.jpg").write_bytes(b"")
    source = open_source(str(class_folders), "train")
    order = BatchOrder(len(source), 6, epochs=2, seed=3)
    reference = list(train_batches(source, AUGMENTATION, order, workers=0))
    batches = list(train_batches(source, AUGMENTATION, order, workers=workers))
    assert all(map(_same, reference, batches))
    replaced = [(i, batch.unreadable) for i, batch in enumerate(batches) if batch.unreadable]
    assert [entry for _, entry in replaced] == [((9, "the file is empty"),)] * 2
    for i, _ in replaced:
        row = batches[i].sample_ids.tolist().index(9)
        choice = generator(3, "replace", 9, 0).integers(18)
        assert choice != 9
        view = draw_view(AUGMENTATION, 48, 40, generator(3, "view", i // 3, 9))
        expected = apply_view(source.load(int(choice)), view, AUGMENTATION)
        assert np.array_equal(batches[i].images[row].permute(1, 2, 0).numpy(), expected)
        assert batches[i].labels[row] == source.labels[choice]


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_readable_is_one_clear_error(class_folders: Path, workers: int) -> None:
    for file in (class_folders / "train").rglob("*.jpg"):
        file.write_bytes(b"garbage")
    source = open_source(str(class_folders), "train")
    batches = train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1, 3), workers=workers)
    with pytest.raises(DataError, match="no readable image found in place of") as caught:
        next(batches)
    assert "Traceback" not in str(caught.value)
    assert list(batches) == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_evaluation_sees_every_image_once(class_folders: Path, workers: int, world_size: int) -> None:
    source = open_source(str(class_folders), "train")
    seen = []
    for rank in range(world_size):
        for batch in eval_batches(source, TRANSFORM, batch_size=4, workers=workers, rank=rank, world_size=world_size):
            assert len(batch) <= 4
            assert batch.labels.tolist() == source.labels[batch.sample_ids.numpy()].tolist()
            first = TRANSFORM.apply(source.load(int(batch.sample_ids[0])))
            assert np.array_equal(batch.images[0].permute(1, 2, 0).numpy(), first)
            seen += batch.sample_ids.tolist()
    assert seen == list(range(18))


def test_evaluation_of_a_part_and_of_nothing(class_folders: Path) -> None:
    source = open_source(str(class_folders), "val")
    batches = eval_batches(source, TRANSFORM, batch_size=4, workers=0, limit=[5, 0, 2])
    assert [batch.sample_ids.tolist() for batch in batches] == [[5, 0, 2]]
    # More ranks than images: some have nothing to do.
    shares = [list(eval_batches(source, TRANSFORM, batch_size=4, workers=2, rank=r, world_size=8)) for r in range(8)]
    assert [len(share) for share in shares] == [1] * 6 + [0] * 2


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_stops_at_an_unreadable_image(class_folders: Path, workers: int) -> None:
    bad = class_folders / "val" / "dog" / "1.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    source = open_source(str(class_folders), "val")
    with pytest.raises(UnreadableImage) as caught:
        list(eval_batches(source, TRANSFORM, batch_size=2, workers=workers))
    assert str(bad) in caught.value.message
    assert caught.value.reason
    assert "\n" not in str(caught.value)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_close_ends_the_workers(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    batches = train_batches(source, AUGMENTATION, BatchOrder(18, 6, 1000, 3), workers=2)
    next(batches)
    processes = batches._iterator._workers
    assert all(process.is_alive() for process in processes)
    batches.close()
    assert not any(process.is_alive() for process in processes)
    batches.close()
    assert list(batches) == []


_SCRIPT = """
import os, sys, time
from kdzoo.data import Augmentation, BatchOrder, open_source, train_batches
source = open_source("digits", "train")
batches = train_batches(source, Augmentation(image_size=32), BatchOrder(len(source), 8, 10**6, 0), workers=2)
next(batches)
try:
    print(*[process.pid for process in batches._iterator._workers], flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    for _ in range(20):
        next(batches)
    batches.close()
    print("closed", flush=True)
"""


@pytest.fixture
def run(tmp_path: Path, fork_server: ForkServer) -> Running:
    """The script in a process of its own."""
    (tmp_path / "script.py").write_text(_SCRIPT)
    return fork_server.start(tmp_path / "script.py")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks processes up in /proc")
def test_workers_are_quiet_on_interrupt_and_go_on_until_closed(run: Running) -> None:
    pids = [int(pid) for pid in run.readline().split()]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    os.killpg(run.pids[0], signal.SIGINT)  # as Ctrl-C does, to the whole group
    outcome = run.wait(timeout=60)
    assert outcome.stdout.splitlines()[1:] == ["closed"]
    assert outcome.stderr == ""
    assert not any(_alive(pid) for pid in pids)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks processes up in /proc")
def test_workers_die_with_the_process_that_started_them(run: Running) -> None:
    pids = [int(pid) for pid in run.readline().split()]
    assert len(pids) == 2
    os.kill(run.pids[0], signal.SIGKILL)
    run.wait(timeout=60, check=False)
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks processes up in /proc")
def test_a_process_that_forgot_to_close_ends(class_folders: Path) -> None:
    script = _SCRIPT.replace("digits", str(class_folders))  # which need no scikit-learn
    script = script.split("try:")[0] + "print(*[p.pid for p in batches._iterator._workers], flush=True)\n1 / 0"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.stderr.strip().endswith("ZeroDivisionError: division by zero")
    assert len(run.stdout.split()) == 2
    assert not any(_alive(int(pid)) for pid in run.stdout.split())


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="kills a process by its id")
def test_a_killed_worker_is_one_clear_error(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    batches = train_batches(source, AUGMENTATION, BatchOrder(18, 6, 100_000, 3), workers=1)
    next(batches)
    os.kill(batches._iterator._workers[0].pid, signal.SIGKILL)
    with pytest.raises(DataError, match="a loader worker was killed"):
        for _ in batches:
            pass
