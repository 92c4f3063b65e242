"""Several classes an image: what a pass over such images counts, the loss of each class by itself, its teachers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..base.errors import DataError, TeacherError
from ..base.metrics import MEAN_AP, Metrics
from ..data import Batch, ImageSource
from ..zoo import LoadedModel
from .metrics.precision import chance_precision, multilabel_precisions
from .scoring import Scoring

MULTILABEL = "multilabel"
"""What a model says of itself whose outputs are each a class by itself, read by a sigmoid."""

_SIGMAS, _SLACK_PERCENT = 4.0, 1.0


def sigmoid_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Σ_c −y_c log σ(z_c) − (1 − y_c) log(1 − σ(z_c)) over the classes that are known, nats, (B,).

    Args:
        logits: (B, C).
        targets: (B, C), in [0, 1]; NaN where a class is not known.
    """
    known = ~targets.isnan()
    losses = functional.binary_cross_entropy_with_logits(
        logits, targets.nan_to_num().to(logits.dtype), reduction="none"
    )
    return (losses * known).sum(dim=1)


def precisions(scores: np.ndarray, targets: np.ndarray, data: str) -> np.ndarray:
    """The average precision of each class, percent, (C,), NaN where no image shows it; the mAP is the others' mean.

    An answer that is no number comes last.

    Args:
        scores: (N, C).
        targets: (N, C).
        data: Names the images.

    Raises:
        DataError: No image shows any class.
    """
    values = multilabel_precisions(
        np.nan_to_num(scores, nan=float(np.finfo(np.float32).min)), targets, eleven_points=False
    )
    if np.isnan(values).all():
        raise DataError(f"no image of {data} shows any of the classes", hint="evaluate on images with labels")
    return values


def _targets(batch: Batch, source: ImageSource, answers: Sequence[Tensor]) -> Tensor:
    assert batch.targets is not None
    if {logits.shape[1] for logits in answers} != {batch.targets.shape[1]}:
        raise DataError(
            f"{source.name} ({source.split}) has {batch.targets.shape[1]} classes, the model has other ones",
            hint="evaluate on data with the model's own classes",
        )
    return batch.targets


def _metrics(rows: Tensor) -> Metrics:
    scores, targets = rows.chunk(2, dim=1)
    values = precisions(scores.numpy(), targets.numpy(), "this data")
    loss = float(sigmoid_cross_entropy(scores.double(), targets).mean())
    return Metrics(MEAN_AP, {"mAP": float(np.nanmean(values)), "loss": loss}, len(rows))


MULTILABEL_SCORING = Scoring(
    truth=_targets,
    count=lambda logits, targets: torch.cat([logits, targets.to(logits.dtype)], dim=1),
    metrics=_metrics,
    label="mAP",
    by_image=True,
)
"""The precision of a class is of all images together: what is counted is one row an image, answers and truth."""


def check_kind(member: LoadedModel, source: ImageSource) -> None:
    """Refuse a teacher that learnt one class an image where one may show several, and the other way round.

    Raises:
        TeacherError: It did.
    """
    several = member.provenance.get("task") == MULTILABEL
    if several != source.is_multilabel and (several or "recipe" in member.provenance):
        kinds = ("several classes", "one class")
        raise TeacherError(
            f"teacher {member.reference} learnt {kinds[not several]} an image, {source.name} has {kinds[several]}",
            hint="use a teacher trained on such images ('kdzoo train' makes one)",
        )


def precision_verdict(
    result: Metrics, promised: float | None, source: ImageSource, positions: Sequence[int]
) -> str | None:
    """What is wrong with a measured mAP, or None.

    A promise is missed when the measured value lies more than one point and four times a guess of its error below it.
    Without a promise a teacher must be as much better than the same answer to every image. The guess: a precision
    scatters about as the share of positives among as many images as are positive.
    """
    assert source.targets is not None
    targets = source.targets[list(positions)]
    counts = (targets == 1).sum(axis=0)
    shares = counts[counts > 0] / len(targets)
    margin = _SIGMAS * 100 * math.sqrt(float((shares * (1 - shares) / counts[counts > 0]).sum())) / max(1, len(shares))
    found, chance = f"has an mAP of {result.value:.1f} % on {result.num_images} images", chance_precision(targets)
    if promised is not None:
        missed = not result.value >= promised - margin - _SLACK_PERCENT
        return f"{found} where {promised:.1f} % is promised" if missed else None
    if not result.value >= min(chance + margin, 100.0):
        return f"{found}, no better than the same answer to each ({chance:.1f} %)"
    return None
