"""What a chart shows, apart from how: ``inline`` draws it for the page, ``files`` as PNG and SVG files."""

from __future__ import annotations

from dataclasses import dataclass

from ..curves import Series

MOST = 7
"""Series that a chart can tell apart: shades of the palette, dash patterns, markers."""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines over a common axis.

    Attributes:
        name: Of its file, without an ending.
        title: What is drawn.
        series: The lines.
        x_label: Of the horizontal axis.
        unit: Of the vertical axis.
        log_if_wide: Take a logarithmic axis where the values span more than a factor of fifty.
        from_zero: Let the vertical axis begin at zero.
        last_values: Show where each line ends.
    """

    name: str
    title: str
    series: tuple[Series, ...]
    x_label: str
    unit: str = ""
    log_if_wide: bool = False
    from_zero: bool = False
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
    points: tuple[tuple[float, float], ...]
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
    front: tuple[tuple[float, float], ...] = ()
    diagonal: bool = False


Chart = Lines | Scatter
