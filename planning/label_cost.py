"""What storing a plan's labels costs: how many, how large, and how long the teachers take on this machine."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..base.amounts import readable
from ..data import LabelHead, open_source
from ..data.label_store import MANIFEST
from ..engine.distributed import Processes, choose_device
from ..engine.precision import deterministic
from ..zoo import LoadedModel
from .batch_parts import MemoryNeed, fit_batch, too_large
from .bench import LabelBench, sizes_shown
from .cost import ModelCost, count, decode_rate, measured_batch, missing_of
from .labels import is_mixed, record_of
from .memory import available_bytes
from .models import teachers_of
from .obstacles import fitting, shown
from .plan import Plan
from .run_teachers import class_notes, known_matches
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
        memory: What the teachers take of the device's, or None where that is not known.
        teachers: Their sizes.
        images_per_s: All teachers together, measured on noise; None where the measurement failed.
        decode_images_per_s: Reading and augmenting in one process, or None where there is no data.
        seconds: About, or None where it cannot be told.
        missing: What is not here, without which nothing starts, and how to get it.
        downloads: What would be downloaded first.
        adapted: What was adapted to the data and to this machine's memory.
        notes: What the figures leave out.
    """

    num_images: int | None
    labels_per_epoch: int | None
    epochs: int
    bytes_per_label: int
    bytes: int | None
    free_bytes: int
    memory: MemoryNeed | None
    teachers: tuple[ModelCost, ...]
    images_per_s: float | None
    decode_images_per_s: float | None
    seconds: float | None
    missing: tuple[str, ...]
    downloads: tuple[str, ...]
    adapted: tuple[str, ...]
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
    device = choose_device(plan.run.device)
    free = available_bytes(device)
    teachers = teachers_of(plan, weights=False)
    matches = known_matches(plan)
    columns = [match.columns for _, match in matches] or [None] * len(teachers)
    training, facts = plan.recipe.training, plan.facts
    rows = facts.num_images
    if rows is not None and is_mixed(plan.recipe):
        rows = (plan.steps_per_epoch or 0) * training.batch_size
    head = LabelHead(
        views={},
        teachers=tuple(
            record_of(teacher, "", None if picked is None else len(picked))
            for teacher, picked in zip(teachers, columns, strict=True)
        ),
        form=form,
        holds_features=plan.recipe.objective.reads.features,
        rows=rows or 1,
        class_names=(),
        made_by={},
    )
    size = head.layout.num_bytes
    notes = ["times are for this machine and process; checking the teachers first is left out"]
    side = run_size(plan.recipe)
    require_size(teachers, side)
    notes.extend(view_notes(plan.recipe, head.teachers))
    notes.extend(class_notes(matches))
    plan, need = fit_batch(plan, None, teachers, Processes(0, 1, device), free)
    rate = None if need is None else need.images_per_s
    if rate is None and (need is None or need.fits):
        rate = _rate(plan, teachers, device, notes)
    reading = None
    if not facts.missing:
        source = open_source(plan.recipe.data.dataset, "train")
        reading = decode_rate(plan, source, sizes_shown(plan.recipe, teachers))
    missing, downloads = missing_of(plan, with_student=False)
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
        free_bytes=free_disk(out),
        memory=need,
        teachers=tuple(count(teacher, side) for teacher in teachers),
        images_per_s=rate,
        decode_images_per_s=reading,
        seconds=seconds,
        missing=missing,
        downloads=downloads,
        adapted=plan.adapted,
        notes=tuple(notes),
    )


def label_obstacles(plan: Plan, out: Path, cost: LabelCost, *, resume: bool) -> list[str]:
    """What keeps a plan's labels from being stored, a line each.

    Args:
        plan: Whose labels.
        out: Their folder.
        cost: From `estimate_labels`.
        resume: Whether labels there would be gone on with.
    """
    found = [*cost.missing, *fitting(plan)]
    if cost.memory is not None and not cost.memory.fits:
        found.append(shown(too_large(plan, cost.memory)))
    if cost.bytes is not None and cost.bytes > cost.free_bytes and not resume:
        found.append(f"{readable(cost.bytes)} of labels do not fit on the disk, {readable(cost.free_bytes)} are free")
    if (out / MANIFEST).exists() and not resume:
        found.append(f"{out} already holds labels (--resume goes on with them; --out starts others)")
    return found


def free_disk(out: Path) -> int:
    """Free bytes of the disk on which a folder lies or would lie."""
    place = out.expanduser().absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _rate(plan: Plan, teachers: list[LoadedModel], device: torch.device, notes: list[str]) -> float | None:
    """Images a second that the teachers answer together, on noise."""
    size = measured_batch(plan, device, sum(count(teacher, run_size(plan.recipe)).flops for teacher in teachers))
    try:
        with deterministic(plan.recipe.training.deterministic):
            bench = LabelBench(plan, teachers, Processes(0, 1, device))
            return size / min([bench.step(size) for _ in range(1 + _MEASURED_STEPS)][1:])
    except torch.OutOfMemoryError:
        notes.append(f"not measured: a batch of {size} does not fit into this device's memory")
        return None
