"""Accuracies, from where the right answers stand."""

from __future__ import annotations

import numpy as np


def share_within(ahead: np.ndarray, k: int) -> float:
    """Percent of images with fewer than ``k`` classes before the first right one (top-k accuracy).

    Args:
        ahead: int, (N,), N > 0.
    """
    return 100.0 * float(np.count_nonzero(ahead < k)) / len(ahead)


def class_accuracies(correct: np.ndarray, accepted: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Top-1 accuracy class by class.

    An image belongs to each of its right answers, and is right for all of them when the first answer is any of them.

    Args:
        correct: bool, (N,).
        accepted: int, (N, A), filled up with -1; no class twice in a row.

    Returns:
        Percent, float64, (num_classes,), NaN where a class has no image; and the images of each class, int64.
    """
    images, columns = np.nonzero(accepted >= 0)
    classes = accepted[images, columns]
    counts = np.bincount(classes, minlength=num_classes)
    right = np.bincount(classes, weights=correct[images], minlength=num_classes)
    with np.errstate(invalid="ignore"):
        return 100.0 * right / counts, counts


def mean_class_accuracy(values: np.ndarray) -> float:
    """The mean over the classes that have images, percent: each class counts alike."""
    return float(np.nanmean(values))
