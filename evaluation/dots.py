"""Accuracies side by side: one row a model, each with the interval that its number of images leaves open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from ..engine.metrics.intervals import wilson
from .scales import linear_scale, number

Role = Literal["student", "baseline", "teacher", "ensemble"]


@dataclass(frozen=True)
class Score:
    """A model's accuracy.

    Attributes:
        name: Shown at the row's left.
        role: ``student`` (filled dot), ``baseline`` and ``teacher`` (rings), ``ensemble`` (diamond).
        top1: Percent; where the run predicts a gaze, its angular error in degrees.
        num_images: Images that it was measured on; 0 where that is not known, then no interval is drawn.
    """

    name: str
    role: Role
    top1: float
    num_images: int


def dot_plot(scores: Sequence[Score], unit: str = "\u00a0%") -> Markup:
    """The rows as an HTML list with a common axis; empty where there is no score."""
    rows = [(score, *_interval(score)) for score in scores if math.isfinite(score.top1)]
    if not rows:
        return Markup("")
    low, high = min(low for _, low, _ in rows), max(high for _, _, high in rows)
    scale = linear_scale(low, high, 0.0, 100.0, ticks=5)
    parts = []
    for score, start, end in rows:
        left, width = scale(start), scale(end) - scale(start)
        whisker = Markup('<span class="whisker" style="left:{:.2f}%;width:{:.2f}%"></span>').format(left, width)
        parts.append(
            Markup(
                '<li class="{}"><span>{}</span>'
                '<span class="track">{}<span class="mark" style="left:{:.2f}%"></span></span>'
                '<span class="value">{:.2f}{}</span></li>'
            ).format(score.role, score.name, whisker, scale(score.top1), score.top1, unit)
        )
    marks = [
        Markup('<i style="left:{:.2f}%">{}</i>').format(scale(tick), number(tick, scale.step)) for tick in scale.ticks
    ]
    axis = '<li class="axis" aria-hidden="true"><span></span><span class="track scale">{}</span><span></span></li>'
    parts.append(Markup(axis).format(Markup("").join(marks)))
    return Markup('<ul class="dots">{}</ul>').format(Markup("").join(parts))


def _interval(score: Score) -> tuple[float, float]:
    return wilson(score.top1, score.num_images) if score.num_images > 0 else (score.top1, score.top1)
