"""Line charts as inline SVG: small, without scripts, coloured by the page's own (light, dark or printed) palette.

Series differ by dash pattern as well as by colour, so a chart can be read without colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .scales import Scale, linear_scale, log_scale, number

WIDTH, HEIGHT = 360, 214
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 34
_MANY = 240  # points of one series beyond which it is drawn as means with a band
_BINS = 120
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2", "1 2")


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: Shown in the legend.
        points: (x, y) in drawing order; a y that is not finite interrupts the line.
        slot: Position in the palette, 0 to 6, and of its dash pattern; by default the line's place in the chart.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    slot: int | None = None


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with, such as a teacher's accuracy."""

    name: str
    y: float


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    unit: str = "",
    levels: Sequence[Level] = (),
    log_if_wide: bool = False,
    from_zero: bool = False,
    x_end: float | None = None,
    last_values: bool = True,
) -> Markup:
    """A chart with its title and legend as an HTML ``<figure>``.

    Args:
        title: What is drawn.
        series: The lines; at most seven keep their own dash pattern.
        x_label: What the horizontal axis counts.
        unit: Of the vertical axis, shown beside the title and in the legend.
        levels: Horizontal lines to compare with.
        log_if_wide: Use a logarithmic axis where the values span more than a factor of fifty.
        from_zero: Let the vertical axis begin at zero.
        x_end: Where the horizontal axis ends; by default at the last point.
        last_values: Show where each line ends in the legend.
    """
    finite = [point for line in series for point in line.points if math.isfinite(point[1])]
    if not finite:
        return Markup('<figure class="chart"><h3>{}</h3><p class="missing">nothing was recorded</p></figure>').format(
            title
        )
    ys = [y for _, y in finite] + [level.y for level in levels]
    xs = [x for x, _ in finite]
    x_scale = linear_scale(min(0.0, *xs), max(x_end or 0.0, *xs), _LEFT, WIDTH - _RIGHT, ticks=5, tight=True)
    logarithmic = log_if_wide and min(ys) > 0 and max(ys) / min(ys) > 50
    low = 0.0 if from_zero and not logarithmic else min(ys)
    y_scale = (log_scale if logarithmic else linear_scale)(low, max(ys), HEIGHT - _BOTTOM, _TOP)
    body = [_grid(x_scale, y_scale, x_label)]
    body += [_level(level, y_scale, len(series) + i) for i, level in enumerate(levels)]
    slots = [i if line.slot is None else line.slot for i, line in enumerate(series)]
    body += [_line(line, x_scale, y_scale, slot) for slot, line in zip(slots, series, strict=True)]
    spoken = f"{title}: " + "; ".join(_last(line, unit) if last_values else line.name for line in series)
    svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, spoken, Markup("").join(body)
    )
    last = [_last_value(line) if last_values else None for line in series]
    entries = [_legend(slot, line.name, y, unit) for slot, line, y in zip(slots, series, last, strict=True)]
    entries += [_legend(len(series) + i, level.name, level.y, unit) for i, level in enumerate(levels)]
    heading = Markup("<h3>{} <small>{}{}</small></h3>").format(title, unit, " (log)" if logarithmic else "")
    return Markup('<figure class="chart">{}<ul class="legend">{}</ul>{}</figure>').format(
        heading, Markup("").join(entries), svg
    )


def _grid(x_scale: Scale, y_scale: Scale, x_label: str) -> Markup:
    parts = []
    for value in y_scale.ticks:
        y = f"{y_scale(value):.1f}"
        parts.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT))
        label = number(value, y_scale.step)
        parts.append(Markup('<text x="{}" y="{}" dy=".35em" text-anchor="end">{}</text>').format(_LEFT - 6, y, label))
    base = HEIGHT - _BOTTOM
    for value in x_scale.ticks:
        x = f"{x_scale(value):.1f}"
        parts.append(Markup('<path class="tick" d="M{} {}v4"/>').format(x, base))
        label = number(value, x_scale.step)
        parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, base + 15, label))
    parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, base, WIDTH - _RIGHT))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, HEIGHT - 4, x_label))
    return Markup("").join(parts)


def _line(line: Series, x_scale: Scale, y_scale: Scale, index: int) -> Markup:
    points, band = _thin(line.points)
    parts = []
    if band:
        upper = [f"{x_scale(x):.1f} {y_scale(high):.1f}" for x, _, high in band]
        lower = [f"{x_scale(x):.1f} {y_scale(low):.1f}" for x, low, _ in reversed(band)]
        parts.append(Markup('<path class="band c{}" d="M{}Z"/>').format(index % 7, "L".join(upper + lower)))
    strokes, pen_down = [], False
    for x, y in points:
        if math.isfinite(y):
            strokes.append(f"{'L' if pen_down else 'M'}{x_scale(x):.1f} {y_scale(y):.1f}")
        pen_down = math.isfinite(y)
    dash = _DASHES[index % 7]
    parts.append(
        Markup('<path class="line c{}" stroke-dasharray="{}" d="{}"/>').format(index % 7, dash, "".join(strokes))
    )
    if len(points) <= 40:
        for x, y in points:
            if math.isfinite(y):
                where = f'cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}"'
                dot = '<circle class="dot c{}" r="2.2" {}><title>{}: {} at {}</title></circle>'
                parts.append(Markup(dot).format(index % 7, Markup(where), line.name, number(y), number(x)))
    return Markup("").join(parts)


def _level(level: Level, y_scale: Scale, index: int) -> Markup:
    path = '<path class="level c{}" stroke-dasharray="{}" d="M{} {}H{}"><title>{}: {}</title></path>'
    y = f"{y_scale(level.y):.1f}"
    return Markup(path).format(index % 7, _DASHES[index % 7], _LEFT, y, WIDTH - _RIGHT, level.name, number(level.y))


def _thin(
    points: Sequence[tuple[float, float]],
) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """Few points as they are; many as means of equal runs with their (x, lowest, highest)."""
    if len(points) <= _MANY:
        return list(points), []
    means, band = [], []
    for i in range(_BINS):
        run = points[i * len(points) // _BINS : (i + 1) * len(points) // _BINS]
        run = [point for point in run if math.isfinite(point[1])]
        if run:
            x = sum(x for x, _ in run) / len(run)
            ys = [y for _, y in run]
            means.append((x, sum(ys) / len(ys)))
            band.append((x, min(ys), max(ys)))
    return means, band


def _legend(index: int, name: str, value: float | None, unit: str) -> Markup:
    stroke = Markup('<path class="line c{}" stroke-dasharray="{}" d="M0 4H26"/>').format(index % 7, _DASHES[index % 7])
    swatch = Markup('<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">{}</svg>').format(stroke)
    shown = "" if value is None else f"{value:.2f} %" if unit == "%" else number(value)
    return Markup("<li>{}{} <b>{}</b></li>").format(swatch, name, shown)


def _last_value(line: Series) -> float | None:
    return next((y for _, y in reversed(line.points) if math.isfinite(y)), None)


def _last(line: Series, unit: str) -> str:
    value = _last_value(line)
    return f"{line.name} ends at {'nothing' if value is None else number(value)} {unit}".strip()
