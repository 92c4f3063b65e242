"""What passes between host and accelerator: batches in page-locked memory, and no step that waits for more than its
loss."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kdzoo.data import Augmentation, BatchOrder, EvalTransform, eval_batches, open_source, train_batches
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings
from kdzoo.engine.loop import StudentTraining
from kdzoo.engine.signals import StopRequest
from kdzoo.planning.label_run import label
from kdzoo.planning.run import build_job

from .conftest import gpu_plan

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

_LOOK = EvalTransform(image_size=16, crop_pct=1.0, interpolation="bilinear")


@pytest.mark.usefixtures("_needs_cuda")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_page_locked_memory(workers: int, processes: Processes) -> None:
    source = open_source("digits", "train")
    order = BatchOrder(len(source), 64, epochs=1, seed=0)
    augmentation = Augmentation(image_size=16, lighting_std=0.1)
    with train_batches(source, augmentation, order, workers=workers, pin_memory=True) as batches:
        batch = next(batches)
    with eval_batches(source, _LOOK, batch_size=64, workers=workers, pin_memory=True) as batches:
        judged = next(batches)
    seen = [batch.images, batch.labels, batch.sample_ids, batch.pixel_shift, judged.images, judged.labels]
    assert [tensor is not None and tensor.is_pinned() for tensor in seen] == [True] * len(seen)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    how = PassSettings(batch_size=64, workers=workers, processes=processes)
    with contextlib.closing(how.batches(source, _LOOK)) as shown:
        assert next(shown)[0].images.is_pinned()


@pytest.mark.usefixtures("_needs_cuda")
def test_a_loader_that_is_closed_early_leaves_no_error_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that pins batches must not meet workers that are already dead."""
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    source = open_source("digits", "train")
    order = BatchOrder(len(source), 64, epochs=1, seed=0)
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        batches = train_batches(source, Augmentation(image_size=64), order, workers=2, pin_memory=True)
        time.sleep(pause)
        batches.close()
    assert failed == []


@contextlib.contextmanager
def synchronisations_fail() -> Iterator[None]:
    """Any wait for what is queued on the accelerator is an error, but one for an event, as for the step's loss."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("_needs_cuda")
@pytest.mark.parametrize("case", ["teachers", "labels", "supervised", "meal_v2", "average"])
def test_a_step_waits_for_its_loss_alone(case: str, stored_teacher: str, processes: Processes, tmp_path: Path) -> None:
    taught = {"teachers__models": (stored_teacher,)}
    mixed = {"data__mixing__mixup_prob": 1.0}
    plan = {
        "teachers": lambda: gpu_plan("hinton_kd", **taught, **mixed),
        "labels": lambda: gpu_plan("hinton_kd", run__labels=str(tmp_path / "labels"), **mixed),
        "supervised": lambda: gpu_plan("supervised", "small_images", "label_smoothing", "cutmix"),
        "meal_v2": lambda: gpu_plan("meal_v2", "small_images", "alternating", "cutmix", **taught),
        "average": lambda: gpu_plan("hinton_kd", **taught, training__ema_decay=0.9, training__precision="fp16"),
    }[case]
    if case == "labels":
        label(gpu_plan("hinton_kd", **taught, **mixed), out=tmp_path / "labels")
    with StopRequest() as stop:
        job = build_job(plan(), out=tmp_path / "run", resume=False, trust_teacher=True, processes=processes, stop=stop)
        training = StudentTraining(job, processes, stop)
        with training.batches() as batches:
            training.step(next(batches))  # makes what is made once
            training.at.step += 1
            batch = next(batches)
            with synchronisations_fail():
                values, _ = training.step(batch)
    assert all(value == value for value in values.values())
