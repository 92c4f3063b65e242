"""Points in the plane as inline SVG; groups differ by marker as well as by colour."""

from __future__ import annotations

import math

from markupsafe import Markup

from ..scales import Scale, linear_scale, log_scale, number
from .charts import Points, Scatter

WIDTH, HEIGHT = 360, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 34
_R = 3.6
_MARKERS = (
    "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0Z",  # disc
    "M-.9 -.9H.9V.9H-.9Z",  # square
    "M0 -1.2L1.1 .9H-1.1Z",  # triangle
    "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",  # diamond
    "M-1.1 -.9H1.1L0 1.2Z",  # triangle on its tip
    "M-.4 -1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",  # plus
    "M-1 -.6H1V.6H-1Z",  # bar
)


def scatter_chart(chart: Scatter) -> Markup:
    """A chart with its title and legend as an HTML ``<figure>``."""
    points = [point for group in chart.groups for point in group.points if all(map(math.isfinite, point))]
    if not points:
        return Markup('<figure class="chart"><h3>{}</h3><p class="missing">nothing to draw</p></figure>').format(
            chart.title
        )
    x_scale, y_scale = _scales(chart, points)
    body = [_axes(chart, x_scale, y_scale)] if chart.x_label else []
    if chart.diagonal:
        low, high = max(x_scale.low, y_scale.low), min(x_scale.high, y_scale.high)
        body.append(_path([(low, low), (high, high)], x_scale, y_scale, "level c6", "2 3"))
    if chart.front:
        body.append(_path(_steps(chart.front), x_scale, y_scale, "line c6", "7 3"))
    body += [_group(group, x_scale, y_scale) for group in chart.groups]
    spoken = f"{chart.title}: {len(points)} points"
    svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, spoken, Markup("").join(body)
    )
    legend = Markup("").join(_legend(group) for group in chart.groups if group.name)
    head = Markup("<h3>{} <small>{}</small></h3>").format(chart.title, chart.y_label)
    return Markup('<figure class="chart">{}<ul class="legend">{}</ul>{}</figure>').format(head, legend, svg)


def _scales(chart: Scatter, points: list[tuple[float, float]]) -> tuple[Scale, Scale]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if chart.diagonal:
        xs = ys = [*xs, *ys]
    ends = _LEFT if chart.x_label else _RIGHT, WIDTH - _RIGHT
    if chart.log_x and min(xs) > 0 and max(xs) / min(xs) > 20:
        x_scale = log_scale(min(xs), max(xs), *ends)
    else:
        x_scale = linear_scale(min(xs), max(xs), *ends)
    return x_scale, linear_scale(min(ys), max(ys), HEIGHT - _BOTTOM if chart.x_label else HEIGHT - _TOP, _TOP)


def _axes(chart: Scatter, x_scale: Scale, y_scale: Scale) -> Markup:
    parts = []
    base = HEIGHT - _BOTTOM
    for value in y_scale.ticks:
        y = f"{y_scale(value):.1f}"
        parts.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT))
        label = number(value, y_scale.step)
        parts.append(Markup('<text x="{}" y="{}" dy=".35em" text-anchor="end">{}</text>').format(_LEFT - 6, y, label))
    for value in x_scale.ticks:
        x = f"{x_scale(value):.1f}"
        parts.append(Markup('<path class="tick" d="M{} {}v4"/>').format(x, base))
        label = number(value, x_scale.step)
        parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, base + 15, label))
    parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, base, WIDTH - _RIGHT))
    label = chart.x_label + (" (log)" if x_scale.logarithmic else "")
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, HEIGHT - 4, label))
    return Markup("").join(parts)


def _steps(corners: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """A front as stairs: between two of its points nothing better than the first is known."""
    stairs = [corners[0]]
    for x, y in corners[1:]:
        stairs += [(x, stairs[-1][1]), (x, y)]
    return stairs


def _path(points: list[tuple[float, float]], x_scale: Scale, y_scale: Scale, style: str, dash: str) -> Markup:
    d = "L".join(f"{x_scale(x):.1f} {y_scale(y):.1f}" for x, y in points)
    return Markup('<path class="{}" stroke-dasharray="{}" d="M{}"/>').format(style, dash, d)


def _group(group: Points, x_scale: Scale, y_scale: Scale) -> Markup:
    marker = _MARKERS[group.slot % 7]
    parts = []
    for i, (x, y) in enumerate(group.points):
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        title = Markup("<title>{}</title>").format(group.titles[i]) if group.titles else Markup("")
        move = f"translate({x_scale(x):.1f} {y_scale(y):.1f}) scale({_R})"
        path = Markup('<path class="dot c{}" transform="{}" d="{}">{}</path>')
        parts.append(path.format(group.slot % 7, move, marker, title))
        if group.labels:
            left = x_scale(x) > WIDTH - 60
            text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
            shift, anchor = (-7, "end") if left else (7, "start")
            parts.append(text.format(x_scale(x) + shift, y_scale(y) - 5, anchor, group.labels[i]))
    return Markup("").join(parts)


def _legend(group: Points) -> Markup:
    path = Markup('<path class="dot c{}" transform="translate(13 4) scale(3)" d="{}"/>')
    mark = path.format(group.slot % 7, _MARKERS[group.slot % 7])
    swatch = Markup('<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">{}</svg>').format(mark)
    return Markup("<li>{}{}</li>").format(swatch, group.name)
