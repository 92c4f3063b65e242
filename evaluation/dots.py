"""Accuracies side by side: one row a model, each with the interval that its number of images leaves open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from ..base.metrics import TOP1, PrimaryMetric
from ..engine.metrics.intervals import wilson
from .page import render
from .scales import linear_scale, number

Role = Literal["student", "baseline", "teacher", "ensemble", "reference"]


@dataclass(frozen=True)
class Score:
    """A model's accuracy, or its error.

    Attributes:
        name: Shown at the row's left.
        role: ``student`` (filled dot), ``baseline``, ``teacher`` and ``reference`` (rings), ``ensemble`` (diamond).
        value: Of the metric that decides.
        num_images: Images that it was measured on; 0 where that is not known, then no interval is drawn.
    """

    name: str
    role: Role
    value: float
    num_images: int


def dot_plot(scores: Sequence[Score], metric: PrimaryMetric = TOP1) -> Markup:
    """The rows as an HTML list with a common axis; empty where there is no score."""
    intervals = [(score, *_interval(score)) for score in scores if math.isfinite(score.value)]
    if not intervals:
        return Markup("")
    low, high = min(low for _, low, _ in intervals), max(high for _, _, high in intervals)
    scale = linear_scale(low, high, 0.0, 100.0, ticks=5)
    rows = [
        {
            "role": score.role,
            "name": score.name,
            "left": scale(start),
            "width": scale(end) - scale(start),
            "mark": scale(score.value),
            "value": metric.text(score.value).replace(" ", "\u00a0"),
        }
        for score, start, end in intervals
    ]
    ticks = [(scale(tick), number(tick, scale.step)) for tick in scale.ticks]
    return render("dots.html.j2", rows=rows, ticks=ticks)


def _interval(score: Score) -> tuple[float, float]:
    return wilson(score.value, score.num_images) if score.num_images > 0 else (score.value, score.value)
