"""Before the first step: does each teacher know these classes, in this order, as well as it promises?

A silently wrong teacher (another class order, another normalisation, a badly saved file) still lowers the loss, so it
is caught here, by its accuracy on a slice of the validation data, and not by watching the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data import EvalTransform, ImageSource
from ..errors import TeacherError
from ..zoo import LoadedModel
from .distributed import Processes
from .evaluate import evaluate_ensemble
from .signals import StopRequest
from .teachers import TeacherEnsemble

SLICE = 1024
_SLACK_PERCENT = 1.0  # another resize filter or crop moves ImageNet's top-1 by a few tenths of a point
_SIGMAS = 4.0


@dataclass(frozen=True)
class TeacherReport:
    """What preflight found of one teacher (or, last, of the ensemble).

    Attributes:
        reference: The teacher, or ``"ensemble"``.
        top1: Percent right on the slice.
        promised_top1: What its entry promises in percent, or None.
        num_images: Size of the slice.
        licence: Of its weights, as its entry states it.
    """

    reference: str
    top1: float
    promised_top1: float | None
    num_images: int
    licence: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def check_classes(member: LoadedModel, class_names: Sequence[str], data: str) -> None:
    """Refuse a teacher whose classes or class order are not the data's.

    Raises:
        TeacherError: The counts differ, or both sides know their class names and the names or their order differ.
    """
    if member.num_classes != len(class_names):
        raise TeacherError(
            f"teacher {member.reference} has {member.num_classes} classes, {data} has {len(class_names)}",
            hint="use a teacher trained on these classes ('kdzoo train' makes one)",
        )
    if not member.class_names:
        return
    for index, (theirs, ours) in enumerate(zip(member.class_names, class_names, strict=True)):
        if theirs != ours:
            raise TeacherError(
                f"teacher {member.reference} has another class order than {data}: "
                f"class {index} is {theirs!r} for the teacher and {ours!r} in the data",
                hint="use the folders that the teacher was trained on, or another teacher",
            )


def even_slice(num_images: int, size: int = SLICE) -> list[int]:
    """``size`` positions spread evenly over the images (all of them where there are fewer)."""
    return np.linspace(0, num_images - 1, min(size, num_images)).round().astype(int).tolist()


def verdict(top1: float, promised: float | None, num_images: int, num_classes: int) -> str | None:
    """What is wrong with a measured accuracy, or None.

    A promise is missed when the measured value lies more than four standard errors and one point below it. Without a
    promise a teacher must lie four standard errors above chance.
    """
    if promised is not None:
        p = min(max(promised / 100, 0.0), 1.0)
        tolerance = _SIGMAS * 100 * math.sqrt(p * (1 - p) / num_images) + _SLACK_PERCENT
        if top1 < promised - tolerance:
            return f"scores {top1:.1f} % on {num_images} images where {promised:.1f} % is promised"
        return None
    chance = 1 / num_classes
    needed = 100 * (chance + _SIGMAS * math.sqrt(chance * (1 - chance) / num_images))
    if top1 < min(needed, 100.0):
        return f"scores {top1:.1f} % on {num_images} images, no better than chance ({100 * chance:.1f} %)"
    return None


def preflight(
    teachers: TeacherEnsemble,
    val_source: ImageSource,
    transform: EvalTransform,
    *,
    batch_size: int,
    workers: int,
    processes: Processes,
    trust: bool,
    stop: StopRequest | None = None,
) -> tuple[list[TeacherReport], list[str]]:
    """Check every teacher before a run.

    Args:
        teachers: The frozen teachers.
        val_source: Held-out labelled images.
        transform: The run's own evaluation transform.
        batch_size: Images at once.
        workers: Loader processes.
        processes: Who takes which images.
        trust: Go on when a teacher's accuracy is not what it should be (its classes must fit all the same).
        stop: Asked between batches.

    Returns:
        A report a teacher and one of the ensemble, and the warnings to show.

    Raises:
        TeacherError: The classes differ, or an accuracy is wrong and ``trust`` is false.
    """
    for member in teachers.members:
        check_classes(member, val_source.class_names, val_source.name)
    positions = even_slice(len(val_source))
    results = evaluate_ensemble(
        teachers,
        val_source,
        transform,
        batch_size=batch_size,
        workers=workers,
        processes=processes,
        limit=positions,
        stop=stop,
        title="checking teachers",
    )
    warnings = []
    for member, result in zip(teachers.members, results, strict=False):
        wrong = verdict(result.top1, _promise(member, val_source), result.num_images, member.num_classes)
        if wrong and not trust:
            raise TeacherError(
                f"teacher {member.reference} {wrong}",
                hint="check its preprocessing and class order, or go on with --trust-teacher",
            )
        if wrong:
            warnings.append(f"teacher {member.reference} {wrong}; going on because it is trusted")
        if member.preprocessing.image_size != transform.image_size:
            warnings.append(
                f"teacher {member.reference} was trained at {member.preprocessing.image_size} px, the run shows "
                f"{transform.image_size} px: its images are resized"
            )
    reports = [
        TeacherReport(m.reference, r.top1, _promise(m, val_source), r.num_images, m.licence)
        for m, r in zip(teachers.members, results, strict=False)
    ]
    return [*reports, TeacherReport("ensemble", results[-1].top1, None, results[-1].num_images)], warnings


def _promise(member: LoadedModel, source: ImageSource) -> float | None:
    """A promise counts only where it was made on the same data."""
    if member.promised_top1 is None or member.promised_on not in (None, source.name):
        return None
    return member.promised_top1
