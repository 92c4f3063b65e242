"""Mean intersection over union, from one confusion matrix over all images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...data.segmentation import IGNORED

METRICS = ("mIoU", "mAcc", "aAcc")
"""Mean over classes of intersection over union; mean class accuracy; share of pixels that are right."""


@dataclass(frozen=True)
class MaskScores:
    """What a segmentor reached on a split, in percent.

    Attributes:
        metrics: By name, see METRICS.
        iou: One a class; None where a class is neither annotated nor predicted anywhere.
        pixels: Annotated pixels of each class.
    """

    metrics: dict[str, float]
    iou: tuple[float | None, ...]
    pixels: tuple[int, ...]


def confusion(labels: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Pixels by annotated class (row) and predicted class: int64, (C, C). Ignored pixels are not counted.

    Args:
        labels: uint8 of any shape; `IGNORED` where not annotated.
        predicted: Of the same shape.
        num_classes: C.
    """
    counted = labels != IGNORED
    pairs = labels[counted].long() * num_classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def measure(matrix: np.ndarray) -> MaskScores:
    """The metrics of a confusion matrix; classes that never occur are left out of the means.

    Args:
        matrix: (C, C), rows are annotated.
    """
    right = np.diag(matrix).astype(np.float64)
    annotated, found = matrix.sum(axis=1), matrix.sum(axis=0)
    union = annotated + found - right
    with np.errstate(invalid="ignore", divide="ignore"):
        iou, accuracy = 100 * right / union, 100 * right / annotated
    metrics = {"mIoU": _mean(iou), "mAcc": _mean(accuracy), "aAcc": 100 * float(right.sum()) / max(1, matrix.sum())}
    values = tuple(None if np.isnan(value) else float(value) for value in iou)
    return MaskScores(metrics, values, tuple(int(value) for value in annotated))


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
