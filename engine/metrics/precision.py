"""The average precision of classes of which an image may show several: NumPy in, percent out; ties are settled."""

from __future__ import annotations

import numpy as np


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall at every distinct score, the highest first; equal scores are one step.

    Args:
        scores: (N,).
        positive: bool, (N,); at least one is true.

    Returns:
        Both (number of distinct scores,), fractions.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(positive[order])[ends]
    return hits / (ends + 1), hits / hits[-1]


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """The area under the steps of precision over recall, percent: sum of (R_k - R_(k-1)) P_k.

    NaN where no image is positive. As scikit-learn's ``average_precision_score``.

    Args:
        scores: (N,).
        positive: bool, (N,).
    """
    if not positive.any():
        return float("nan")
    precision, recall = precision_recall(scores, positive)
    return 100 * float(np.sum(np.diff(recall, prepend=0.0) * precision))


def eleven_point_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """VOC 2007's own AP, percent: the mean over recalls 0, 0.1, …, 1 of the best precision at that recall or beyond.

    NaN where no image is positive (M. Everingham et al., IJCV 88, 2010, §4.2).
    """
    if not positive.any():
        return float("nan")
    precision, recall = precision_recall(scores, positive)
    # Tenths as integers: 0.3 as a sum of tenths would miss a recall of exactly 3 in 10.
    hits = np.rint(recall * positive.sum()).astype(np.int64)
    points = [precision[10 * hits >= tenth * positive.sum()].max(initial=0.0) for tenth in range(11)]
    return 100 * float(np.mean(points))


def chance_precision(targets: np.ndarray) -> float:
    """The mAP of the same answer to every image, percent: the mean share of images that show a class that any shows.

    Args:
        targets: As `multilabel_precisions`.
    """
    shares = np.nansum(targets == 1, axis=0) / np.maximum((~np.isnan(targets)).sum(axis=0), 1)
    return 100 * float(shares[shares > 0].mean()) if (shares > 0).any() else float("nan")


def multilabel_precisions(scores: np.ndarray, targets: np.ndarray, *, eleven_points: bool) -> np.ndarray:
    """The AP of each class, percent, (C,); NaN for a class that no counted image shows.

    Args:
        scores: (N, C).
        targets: (N, C): 1 shown, 0 not shown, NaN not counted for this class (VOC's difficult objects).
        eleven_points: VOC 2007's, or the whole area.
    """
    measure = eleven_point_precision if eleven_points else average_precision
    values = []
    for column in range(targets.shape[1]):
        counted = ~np.isnan(targets[:, column])
        values.append(measure(scores[counted, column], targets[counted, column] == 1))
    return np.array(values)
