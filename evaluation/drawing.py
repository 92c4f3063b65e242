"""Charts as inline SVG: small, without scripts, coloured by the page's own (light, dark or printed) palette.

Series differ by dash pattern or marker as well as by colour, so a chart can be read without colour. Positions are
computed here; ``chart.html.j2`` writes them down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from .charts import Chart, Lines, Place, Points, Scatter, Series
from .page import render
from .scales import Scale, linear_scale, log_scale, number

WIDTH = 360
_LEFT, _BOTTOM = 46, 34
_MANY = 240  # points of one series beyond which it is drawn as means with a band
_BINS = 120
_FEW = 40  # points of one series up to which each is marked
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2", "1 2")
_MARKERS = (
    "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0Z",  # disc
    "M-.9 -.9H.9V.9H-.9Z",  # square
    "M0 -1.2L1.1 .9H-1.1Z",  # triangle
    "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",  # diamond
    "M-1.1 -.9H1.1L0 1.2Z",  # triangle on its tip
    "M-.4 -1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",  # plus
    "M-1 -.6H1V.6H-1Z",  # bar
)


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A path of the drawing.

    Attributes:
        style: Its classes in the page's style sheet.
        d: The path.
        dash: Its dash pattern; None for an area.
        transform: Of the path.
        title: Shown under the mouse.
        disc: A disc in place of the path: x, y and radius.
    """

    style: str
    d: str = ""
    dash: str | None = None
    transform: str = ""
    title: str = ""
    disc: tuple[str, str, float] | None = None


@dataclass(frozen=True)
class _Label:
    """A text in the drawing, at (x, y)."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass
class _Drawing:
    """A chart's frame and what is in it; positions in units of the drawing."""

    title: str
    unit: str
    height: int
    right: int
    top: int
    x_scale: Scale
    y_scale: Scale
    x_label: str
    spoken: str = ""
    shapes: list[_Shape] = field(default_factory=list)
    labels: list[_Label] = field(default_factory=list)
    legend: list[tuple[_Shape, str, str | None]] = field(default_factory=list)

    def path(self, points: Sequence[Place]) -> str:
        """The path through points of the chart, interrupted where one is not finite."""
        strokes, pen_down = [], False
        for x, y in points:
            if math.isfinite(y):
                strokes.append(f"{'L' if pen_down else 'M'}{self.x_scale(x):.1f} {self.y_scale(y):.1f}")
            pen_down = math.isfinite(y)
        return "".join(strokes)

    def markup(self) -> Markup:
        """The chart with its title and legend as an HTML ``<figure>``."""
        return render(
            "chart.html.j2",
            chart=self,
            width=WIDTH,
            left=_LEFT,
            base=self.height - _BOTTOM,
            x_ticks=[(f"{self.x_scale(x):.1f}", number(x, self.x_scale.step)) for x in self.x_scale.ticks],
            y_ticks=[(f"{self.y_scale(y):.1f}", number(y, self.y_scale.step)) for y in self.y_scale.ticks],
        )


def draw(chart: Chart) -> Markup:
    """A chart as an HTML ``<figure>``."""
    drawing = _lines(chart) if isinstance(chart, Lines) else _scatter(chart)
    if drawing is None:
        missing = "nothing was recorded" if isinstance(chart, Lines) else "nothing to draw"
        return Markup('<figure class="chart"><h3>{}</h3><p class="missing">{}</p></figure>').format(
            chart.title, missing
        )
    return drawing.markup()


# -- lines ---------------------------------------------------------------------------------------------------------


def _lines(chart: Lines) -> _Drawing | None:
    height, right, top = 214, 10, 8
    finite = [point for line in chart.series for point in line.points if math.isfinite(point[1])]
    if not finite:
        return None
    ys = [y for _, y in finite] + [level.y for level in chart.levels]
    xs = [x for x, _ in finite]
    logarithmic = chart.log_if_wide and min(ys) > 0 and max(ys) / min(ys) > 50
    low = 0.0 if chart.from_zero and not logarithmic else min(ys)
    drawing = _Drawing(
        title=chart.title,
        unit=chart.unit + (" (log)" if logarithmic else ""),
        height=height,
        right=right,
        top=top,
        x_scale=linear_scale(min(0.0, *xs), max(chart.x_end or 0.0, *xs), _LEFT, WIDTH - right, ticks=5, tight=True),
        y_scale=(log_scale if logarithmic else linear_scale)(low, max(ys), height - _BOTTOM, top),
        x_label=chart.x_label,
    )
    ends = []
    for place, level in enumerate(chart.levels, start=len(chart.series)):
        y = f"{drawing.y_scale(level.y):.1f}"
        title = f"{level.name}: {number(level.y)}"
        drawing.shapes.append(_stroke("level", place, f"M{_LEFT} {y}H{WIDTH - right}", title))
        ends.append((_stroke("line", place, "M0 4H26"), level.name, _shown(level.y, chart.unit)))
    spoken = []
    for place, line in enumerate(chart.series):
        slot = place if line.slot is None else line.slot
        drawing.shapes += _line_shapes(drawing, line, slot)
        shown = _shown(line.last, chart.unit) if chart.last_values and line.last is not None else ""
        drawing.legend.append((_stroke("line", slot, "M0 4H26"), line.name, shown))
        end = "nothing" if line.last is None else number(line.last)
        spoken.append(f"{line.name} ends at {end} {chart.unit}".strip() if chart.last_values else line.name)
    drawing.legend += ends
    drawing.spoken = f"{chart.title}: {'; '.join(spoken)}"
    return drawing


def _stroke(style: str, slot: int, d: str, title: str = "") -> _Shape:
    return _Shape(style=f"{style} c{slot % 7}", d=d, dash=_DASHES[slot % 7], title=title)


def _shown(value: float, unit: str) -> str:
    return f"{value:.2f} %" if unit == "%" else number(value)


def _line_shapes(drawing: _Drawing, line: Series, slot: int) -> list[_Shape]:
    points, low, high = _thin(line.points)
    shapes = []
    if low:
        area = drawing.path(high) + drawing.path(low[::-1]).replace("M", "L", 1) + "Z"
        shapes.append(_Shape(style=f"band c{slot % 7}", d=area))
    shapes.append(_stroke("line", slot, drawing.path(points)))
    if len(points) <= _FEW:
        shapes += [
            _dot(drawing, point, slot, _MARKERS[0], 2.2, f"{line.name}: {number(point[1])} at {number(point[0])}")
            for point in points
            if math.isfinite(point[1])
        ]
    return shapes


def _dot(drawing: _Drawing, point: Place, slot: int, marker: str, size: float, title: str) -> _Shape:
    x, y, style = f"{drawing.x_scale(point[0]):.1f}", f"{drawing.y_scale(point[1]):.1f}", f"dot c{slot % 7}"
    if marker is _MARKERS[0]:
        return _Shape(style=style, title=title, disc=(x, y, size))
    return _Shape(style=style, d=marker, transform=f"translate({x} {y}) scale({size})", title=title)


def _thin(points: Sequence[Place]) -> tuple[list[Place], list[Place], list[Place]]:
    """Few points as they are; many as the means of equal runs, with the lowest and the highest value of each."""
    if len(points) <= _MANY:
        return list(points), [], []
    means, lowest, highest = [], [], []
    for i in range(_BINS):
        run = points[i * len(points) // _BINS : (i + 1) * len(points) // _BINS]
        run = [point for point in run if math.isfinite(point[1])]
        if run:
            x, ys = sum(x for x, _ in run) / len(run), [y for _, y in run]
            means.append((x, sum(ys) / len(ys)))
            lowest.append((x, min(ys)))
            highest.append((x, max(ys)))
    return means, lowest, highest


# -- points --------------------------------------------------------------------------------------------------------


def _scatter(chart: Scatter) -> _Drawing | None:
    height, right, top = 250, 14, 10
    points = [point for group in chart.groups for point in group.points if all(map(math.isfinite, point))]
    if not points:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if chart.diagonal:
        xs = ys = [*xs, *ys]
    ends = _LEFT if chart.x_label else right, WIDTH - right
    logarithmic = chart.log_x and min(xs) > 0 and max(xs) / min(xs) > 20
    base = height - (_BOTTOM if chart.x_label else top)
    drawing = _Drawing(
        title=chart.title,
        unit=chart.y_label,
        height=height,
        right=right,
        top=top,
        x_scale=(log_scale if logarithmic else linear_scale)(min(xs), max(xs), *ends),
        y_scale=linear_scale(min(ys), max(ys), base, top),
        x_label=chart.x_label + (" (log)" if logarithmic else ""),
        spoken=f"{chart.title}: {len(points)} points",
    )
    if chart.diagonal:
        low = max(drawing.x_scale.low, drawing.y_scale.low)
        high = min(drawing.x_scale.high, drawing.y_scale.high)
        drawing.shapes.append(_Shape(style="level c6", d=drawing.path([(low, low), (high, high)]), dash="2 3"))
    if chart.front:
        drawing.shapes.append(_Shape(style="line c6", d=drawing.path(_stairs(chart.front)), dash="7 3"))
    for group in chart.groups:
        _add_group(drawing, group)
        if group.name:
            mark = _Shape(
                style=f"dot c{group.slot % 7}", d=_MARKERS[group.slot % 7], transform="translate(13 4) scale(3)"
            )
            drawing.legend.append((mark, group.name, None))
    return drawing


def _stairs(corners: Sequence[Place]) -> list[Place]:
    """A front as stairs: between two of its points nothing better than the first is known."""
    stairs = [corners[0]]
    for x, y in corners[1:]:
        stairs += [(x, stairs[-1][1]), (x, y)]
    return stairs


def _add_group(drawing: _Drawing, group: Points) -> None:
    marker = _MARKERS[group.slot % 7]
    for i, point in enumerate(group.points):
        if not all(map(math.isfinite, point)):
            continue
        title = group.titles[i] if group.titles else ""
        drawing.shapes.append(_dot(drawing, point, group.slot, marker, 3.6, title))
        if group.labels:
            x, y = drawing.x_scale(point[0]), drawing.y_scale(point[1]) - 5
            shift, anchor = (-7, "end") if x > WIDTH - 60 else (7, "start")
            drawing.labels.append(_Label(round(x + shift, 1), round(y, 1), anchor, group.labels[i]))
