"""What a reader of a run's result must know, a plain sentence each: near chance, no better than one class, far below
its teachers, teachers that know little."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..base.json_document import as_number, as_object
from ..base.metrics import FEATURE_COSINE, MEAN_AP, TOP1, Metrics
from .metrics.precision import chance_precision

_SIGMAS = 3.0
_FAR_BELOW = 20.0  # points: more than a student of another size lacks after a run that went well


def result_warnings(
    metrics: Metrics, labels: np.ndarray, num_classes: int, teacher_reports: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The sentences that are true of a result.

    Args:
        metrics: Of the exported weights.
        labels: Of the held-out images, int64, (N,); of several classes an image their targets, (N, C).
        num_classes: Of the data.
        teacher_reports: What preflight found of the teachers, the ensemble last (`TeacherReport.to_dict`).
    """
    if metrics.primary == FEATURE_COSINE:
        return _constant_warnings(metrics, teacher_reports)
    if metrics.primary == MEAN_AP:
        chance = chance_precision(labels)
        words = f"the result is near chance: an mAP of {metrics.value:.1f} % where the same answer to every image has"
        return (f"{words} {chance:.1f} %: try more epochs or another optimizer.lr",) * (metrics.value <= 1.1 * chance)
    if metrics.primary != TOP1 or not metrics.num_images or num_classes < 2:
        return ()
    top1, count = metrics.value, metrics.num_images
    commonest = 100 * float(np.bincount(labels[labels >= 0], minlength=num_classes).max()) / count
    chance = 100 / num_classes
    found = []
    if chance + _noise(chance, count) >= 100:
        found.append(
            f"{count:,} held-out image{'s are' if count > 1 else ' is'} too few to tell a result from guessing among "
            f"{num_classes} classes ({chance:.1f} %); hold out more"
        )
    elif top1 <= chance + _noise(chance, count):
        found.append(
            f"the result is near chance: {top1:.1f} % of {count:,} images, where guessing among {num_classes} classes "
            f"gives {chance:.1f} %; look at the loss in the report, and try a lower optimizer.lr or more epochs"
        )
    elif top1 <= commonest:
        found.append(
            f"the result, {top1:.1f} %, is no better than always answering the commonest class ({commonest:.1f} % of "
            "the held-out images)"
        )
    scores = {str(one.get("reference")): float(one["top1"]) for one in teacher_reports if _measured(one)}
    together = scores.pop("ensemble", max(scores.values(), default=math.nan))
    found += [
        f"teacher {reference} is worse than always answering the commonest class ({score:.1f} % where that gives "
        f"{commonest:.1f} %): a student learns little from it"
        for reference, score in scores.items()
        if score < commonest - _noise(commonest, count)
    ]
    if top1 < together - max(_FAR_BELOW, _noise(together, count)):
        found.append(
            f"the student, {top1:.1f} %, is far below where its teachers were before it began ({together:.1f} %): more "
            "epochs or a larger student may help"
        )
    return tuple(found)


def _constant_warnings(metrics: Metrics, reports: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Features that are no better than the best constant ones."""
    found = []
    for name in ("pooled_cosine", "dense_cosine"):
        each = [as_number(as_object(report.get("constant_cosine")).get(name)) for report in reports]
        constant = math.fsum(each) / len(each) if each else math.nan
        if metrics.values.get(name, math.nan) <= constant:
            found.append(
                f"the student's {name.removesuffix('_cosine')} features are no better than the same answer to every "
                f"image ({metrics[name]:.3f} where that gives {constant:.3f}): more epochs, or a lower optimizer.lr"
            )
    return tuple(found)


def _measured(report: Mapping[str, Any]) -> bool:
    return isinstance(report.get("top1"), int | float)


def _noise(percent: float, count: int) -> float:
    """How far a measured percentage of so many images may lie from the true one by chance."""
    share = min(max(percent / 100, 0.0), 1.0)
    return _SIGMAS * 100 * math.sqrt(share * (1 - share) / count)
