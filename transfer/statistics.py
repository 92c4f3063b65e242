"""A backbone beside its baseline over several seeds: the paired difference, its interval, and a plain sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..engine.metrics.intervals import mean_interval


@dataclass(frozen=True)
class Difference:
    """A backbone's metric less its baseline's, pair by pair.

    Attributes:
        metric: Its name.
        mean: In points.
        low: Lower end of the 95 % interval; None where none can be told.
        high: Its upper end.
        over: What the interval is over: ``seeds``, or ``images`` where there is one seed (it then says nothing of
            what another seed would give), or None.
        count: How many seeds or images.
        values: One a pair of seeds.
        sentence: All of this in words.
    """

    metric: str
    mean: float
    low: float | None
    high: float | None
    over: Literal["seeds", "images"] | None
    count: int
    values: tuple[float, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def paired_difference(
    metric: str,
    words: str,
    names: tuple[str, str],
    values: Sequence[float],
    baseline: Sequence[float],
    *,
    right: tuple[np.ndarray, np.ndarray] | None = None,
) -> Difference:
    """Compare a backbone with its baseline, run by run on the same views.

    Args:
        metric: Its name.
        words: What a reader calls it.
        names: The backbone's and the baseline's.
        values: The backbone's, one a seed.
        baseline: The baseline's, in the same order of seeds.
        right: Whether each test image was answered rightly, bool (N,), by both; gives an interval for one seed.
    """
    differences = [float(one - other) for one, other in zip(values, baseline, strict=True)]
    found = mean_interval(differences)
    over: Literal["seeds", "images"] | None = None
    count = len(differences)
    if found is not None:
        over = "seeds"
    elif right is not None and len(right[0]) > 1:
        points = 100 * (right[0].astype(np.float64) - right[1].astype(np.float64))
        found = mean_interval(points.tolist())
        over, count = "images", len(points)
    mean = float(np.mean(differences))
    low, high = (None, None) if found is None else (found[1], found[2])
    text = _sentence(names, words, mean, low, high, over, count)
    return Difference(metric, mean, low, high, over, count, tuple(differences), text)


def _sentence(
    names: tuple[str, str], words: str, mean: float, low: float | None, high: float | None, over: str | None, count: int
) -> str:
    one, other = names
    points = f"{abs(mean):.1f} points of {words}"
    if low is None or high is None:
        how = "better" if mean > 0 else "worse"
        word = f"{one} is {points} {how} than {other}" if mean else f"{one} and {other} are equal in {words}"
        return f"{word} (1 seed: whether another seed would say so cannot be told)"
    basis = f"{count} seeds" if over == "seeds" else f"over {count:,} test images, 1 seed"
    if low > 0 or high < 0:
        how = "better" if mean > 0 else "worse"
        ends = sorted((abs(low), abs(high)))
        return f"{one} is {how} than {other} by {points} (95 % interval {ends[0]:.1f} to {ends[1]:.1f}, {basis})"
    return (
        f"no difference between {one} and {other} can be told: {mean:+.1f} points of {words} "
        f"(95 % interval {low:+.1f} to {high:+.1f}, {basis})"
    )
