"""What storing a plan's labels costs: how many, how large, and how long the teachers take on this machine."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..data import LabelHead, open_source
from ..engine.distributed import choose_device
from ..engine.precision import deterministic
from ..engine.teachers import TeacherEnsemble
from ..zoo import LoadedModel
from .cost import ModelCost, count, decode_rate, measured_batch, missing_of, noise_at, sizes_shown
from .labels import is_mixed, record_of
from .models import teachers_of
from .plan import Plan
from .teacher_views import require_size, run_size, view_notes

_MEASURED_STEPS = 2


@dataclass(frozen=True)
class LabelCost:
    """What a plan's labels cost.

    Attributes:
        num_images: Training images, or None where the data is missing and unknown.
        labels_per_epoch: Or None.
        epochs: To be labelled.
        bytes_per_label: Of one, its checksum included.
        bytes: Of all, or None.
        free_bytes: On the disk of the folder.
        teachers: Their sizes.
        images_per_s: All teachers together, measured on noise; None where the measurement failed.
        decode_images_per_s: Reading and augmenting in one process, or None where there is no data.
        seconds: About, or None where it cannot be told.
        missing: What is not here, and how to get it.
        notes: What the figures leave out.
    """

    num_images: int | None
    labels_per_epoch: int | None
    epochs: int
    bytes_per_label: int
    bytes: int | None
    free_bytes: int
    teachers: tuple[ModelCost, ...]
    images_per_s: float | None
    decode_images_per_s: float | None
    seconds: float | None
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def estimate_labels(plan: Plan, *, out: Path, form: str) -> LabelCost:
    """What a plan's labels cost on this machine.

    Args:
        plan: From ``resolve``.
        out: Where they would lie.
        form: Of the numbers.

    Raises:
        ModelError: A teacher cannot be built.
        UsageError: The device is not there, or there is no such form.
    """
    teachers = teachers_of(plan, weights=False)
    training, facts = plan.recipe.training, plan.facts
    rows = facts.num_images
    if rows is not None and is_mixed(plan.recipe):
        rows = (plan.steps_per_epoch or 0) * training.batch_size
    head = LabelHead(
        views={},
        teachers=tuple(record_of(teacher, "") for teacher in teachers),
        form=form,
        holds_features=plan.recipe.objective.reads.features,
        rows=rows or 1,
        class_names=(),
        made_by={},
    )
    size = head.layout.num_bytes
    notes = ["times are for this machine and process; checking the teachers first is left out"]
    require_size(teachers, run_size(plan.recipe))
    notes.extend(view_notes(plan.recipe, head.teachers))
    rate = _rate(plan, teachers, notes)
    reading = None
    if facts.missing is None:
        source = open_source(plan.recipe.data.dataset, "train")
        reading = decode_rate(plan, source, sizes_shown(plan, teachers))
    labels = None if rows is None else rows * training.epochs
    seconds = None
    if labels is not None and rate is not None:
        slower = rate if reading is None else min(rate, reading * max(plan.run.workers, 1))
        seconds = labels / slower
    return LabelCost(
        num_images=facts.num_images,
        labels_per_epoch=rows,
        epochs=training.epochs,
        bytes_per_label=size,
        bytes=None if labels is None else labels * size,
        free_bytes=_free(out),
        teachers=tuple(count(teacher, run_size(plan.recipe)) for teacher in teachers),
        images_per_s=rate,
        decode_images_per_s=reading,
        seconds=seconds,
        missing=tuple(missing_of(plan, with_student=False)),
        notes=tuple(notes),
    )


def _free(out: Path) -> int:
    """Free bytes of the disk on which a folder lies or would lie."""
    place = out.expanduser().absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _rate(plan: Plan, teachers: list[LoadedModel], notes: list[str]) -> float | None:
    """Images a second that the teachers answer together, on noise."""
    training = plan.recipe.training
    device = choose_device(plan.run.device)
    size = measured_batch(plan, device, sum(count(teacher, run_size(plan.recipe)).flops for teacher in teachers))
    images = torch.rand((size, 3, *plan.recipe.data.augmentation.size), generator=torch.Generator().manual_seed(0))
    conditions = torch.rand((size, 2)) if plan.facts.num_targets else None
    shown = noise_at(sizes_shown(plan, teachers), size)
    try:
        with deterministic(training.deterministic):
            ensemble = TeacherEnsemble(
                teachers,
                device,
                precision=training.precision,
                channels_last=training.channels_last,
                image_size=run_size(plan.recipe),
            )
            images = images.to(device)
            renderings = [one.to(device).float() / 255 for one in shown]
            seconds = []
            for _ in range(1 + _MEASURED_STEPS):
                began = time.perf_counter()
                beside = None if conditions is None else conditions.to(device)
                answers = ensemble(images, beside, renderings=renderings)
                answers.logits[-1].cpu()
                seconds.append(time.perf_counter() - began)
    except torch.OutOfMemoryError:
        notes.append(f"a batch of {size} does not fit into this device's memory: --set training.accumulate=2 (or 4, 8)")
        return None
    return size / min(seconds[1:])
