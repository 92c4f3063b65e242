"""The numbers that two results share, with their differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ...engine.metrics.intervals import mean_interval
from ..results import Interval, Result


@dataclass(frozen=True, kw_only=True)
class ComparedNumber:
    """One number of two models.

    Attributes:
        metric: Its name.
        first: The first model's.
        second: The second model's.
        difference: Second less first.
        low: Lower end of the difference's 95 % interval, or None.
        high: Its upper end.
        over: What the interval is over: ``images`` (paired bootstrap), ``seeds`` (paired, Student's t), or None.
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None
    over: Literal["images", "seeds"] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def shared_numbers(first: Result, second: Result) -> list[ComparedNumber]:
    """Every metric of both, in the first one's order; with an interval over seeds where both ran the same ones."""
    rows = []
    for metric, value in first.metrics.items():
        if metric in second.metrics:
            ends = _over_seeds(first.intervals.get(metric), second.intervals.get(metric))
            other = second.metrics[metric]
            rows.append(
                ComparedNumber(
                    metric=metric,
                    first=value,
                    second=other,
                    difference=other - value,
                    low=ends and ends[0],
                    high=ends and ends[1],
                    over="seeds" if ends else None,
                )
            )
    return rows


def model_numbers(first: Result, second: Result) -> list[ComparedNumber]:
    """What both models cost: parameters and multiply-accumulates."""
    pairs = [(name, getattr(first.model, name), getattr(second.model, name)) for name in ("parameters", "macs")]
    return [
        ComparedNumber(metric=name, first=one, second=other, difference=other - one)
        for name, one, other in pairs
        if one is not None and other is not None
    ]


def _over_seeds(first: Interval | None, second: Interval | None) -> tuple[float, float] | None:
    """The 95 % interval of the mean difference of runs with the same seeds; None where there are none."""
    if first is None or second is None or first.seeds != second.seeds:
        return None
    found = mean_interval(np.subtract(second.values, first.values).tolist())
    return None if found is None else found[1:]
