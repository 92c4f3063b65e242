"""What a measurement leaves open: the intervals of a share and of a mean, and the paired test of two models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
Z = 1.959964
"""Standard deviations of a normal distribution that hold 95 % of it."""


def wilson(percent: float, num_images: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927), in percent: what sampling ``num_images`` images leaves open."""
    n, p = num_images, min(1.0, max(0.0, percent / 100))
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float] | None:
    """The mean of a few measurements and its 95 % interval by Student's t; None for fewer than two.

    Returns:
        Mean, lower and upper end.
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947): of the images that one model alone
    has right, either model has each with probability one half.

    Args:
        only_first: Images that the first model alone has right.
        only_second: Images that the second model alone has right.

    Returns:
        In (0, 1]; 1 where there is no such image.
    """
    from scipy.stats import binom

    total = only_first + only_second
    return min(1.0, 2 * float(binom.cdf(min(only_first, only_second), total, 0.5)))
