"""What a chart shows, apart from how: `drawing` draws it for a page, ``analysis.files`` as PNG and SVG files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..base.run_documents import MetricLine

MOST = 7
"""Series that a chart can tell apart: shades of the palette, dash patterns, markers."""

Place = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: Shown in the legend.
        points: (x, y) in drawing order; a y that is not finite interrupts the line.
        slot: Position in the palette, 0 to 6, and of its dash pattern; by default the line's place in the chart.
    """

    name: str
    points: tuple[Place, ...]
    slot: int | None = None

    @property
    def last(self) -> float | None:
        """The last finite y, or None."""
        return next((y for _, y in reversed(self.points) if math.isfinite(y)), None)


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with, such as a teacher's accuracy."""

    name: str
    y: float


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines over a common axis.

    Attributes:
        title: What is drawn.
        series: The lines; at most `MOST` keep their own dash pattern.
        x_label: Of the horizontal axis.
        unit: Of the vertical axis.
        name: Of its file, without an ending.
        levels: Horizontal lines to compare with.
        log_if_wide: Take a logarithmic axis where the values span more than a factor of fifty.
        from_zero: Let the vertical axis begin at zero.
        x_end: Where the horizontal axis ends; by default at the last point.
        last_values: Show where each line ends.
    """

    title: str
    series: tuple[Series, ...]
    x_label: str
    unit: str = ""
    name: str = ""
    levels: tuple[Level, ...] = ()
    log_if_wide: bool = False
    from_zero: bool = False
    x_end: float | None = None
    last_values: bool = True


@dataclass(frozen=True, kw_only=True)
class Points:
    """A group of points of one colour and marker.

    Attributes:
        name: In the legend; "" for no entry.
        points: (x, y).
        labels: A short text beside each point, or nothing at all.
        titles: What is shown of a point under the mouse, or nothing at all.
        slot: Position in the palette and among the markers, 0 to 6.
    """

    name: str
    points: tuple[Place, ...]
    labels: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    slot: int = 0


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Points in the plane.

    Attributes:
        name: Of its file, without an ending.
        title: What is drawn.
        groups: The points.
        x_label: Of the horizontal axis; "" where positions have no unit, then no axis is drawn.
        y_label: Of the vertical axis.
        log_x: Use a logarithmic horizontal axis.
        front: Corners of a line through the best points, in rising order of x.
        diagonal: Draw where both axes are equal.
    """

    name: str
    title: str
    groups: tuple[Points, ...]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    front: tuple[Place, ...] = ()
    diagonal: bool = False


Chart = Lines | Scatter


def recorded_series(
    name: str, lines: Iterable[MetricLine], key: str, *, steps: float = 1.0, slot: int | None = None
) -> Series:
    """One number of a run's lines over training.

    Args:
        name: In the legend.
        lines: Of metrics.jsonl or speed.jsonl.
        key: Which number.
        steps: That one unit of the horizontal axis holds.
        slot: Position in the palette.
    """
    found = ((line.step / steps, line.values[key]) for line in lines if key in line.values)
    return Series(name, tuple(point for point in found if math.isfinite(point[0])), slot)
