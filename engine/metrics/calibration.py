"""Calibration: whether a model that says 70 % is right in 70 % of the cases (C. Guo et al., ICML 2017, §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose first answer has a probability in (low, high].

    Attributes:
        low: Lower end.
        high: Upper end.
        count: Images.
        confidence: Their mean probability, in percent; None without images.
        accuracy: Percent of them that are right; None without images.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(confidence: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS) -> list[ReliabilityBin]:
    """Bins of equal width over (0, 1].

    Args:
        confidence: Of the first answers, in (0, 1], (N,).
        correct: bool, (N,).
        num_bins: Their number.
    """
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    place = np.clip(np.digitize(confidence.astype(np.float64), edges, right=True) - 1, 0, num_bins - 1)
    counts = np.bincount(place, minlength=num_bins)
    sums = np.bincount(place, weights=confidence.astype(np.float64), minlength=num_bins)
    right = np.bincount(place, weights=correct, minlength=num_bins)
    return [
        ReliabilityBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(count),
            confidence=100.0 * float(sums[index]) / int(count) if count else None,
            accuracy=100.0 * float(right[index]) / int(count) if count else None,
        )
        for index, count in enumerate(counts)
    ]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """ECE in percent: the gap between confidence and accuracy of each bin, weighted by its images (Eq. 3)."""
    total = sum(one.count for one in bins)
    gaps = (
        one.count * abs(one.accuracy - one.confidence)
        for one in bins
        if one.confidence is not None and one.accuracy is not None
    )
    return sum(gaps) / total
