"""The charts as PNG and SVG files, for papers and slides: matplotlib, in the page's colours, dashes and markers."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.writing import write_file
from ..charts import Chart, Lines, Scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, as in style.html.j2
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0578d", "#b87900", "#2f8fc4", "#333333")
_DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (12, 4)), (0, (4, 2, 1, 2)), ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "_")
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names come out as they are
    "svg.hashsalt": "kdzoo",  # the same bytes each time
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e8eaed",
}


def write_figures(folder: Path, charts: Sequence[Chart]) -> list[Path]:
    """Write each chart as ``NAME.png`` (200 dots per inch) and ``NAME.svg``; further charts of a name are numbered.

    Raises:
        RunError: The folder cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, chart in zip(_numbered([chart.name for chart in charts]), charts, strict=True):
        with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks
            figure = Figure(figsize=(5.2, 3.4), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            if isinstance(chart, Lines):
                _lines(axes, chart)
            else:
                _scatter(axes, chart)
            if axes.get_legend_handles_labels()[0]:
                figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
            axes.set_title(_clean(chart.title), loc="left", fontsize=10)
            for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                path = folder / f"{name}.{ending}"
                write_file(path, partial(figure.savefig, format=ending, dpi=200, metadata=metadata))
                written.append(path)
    return written


def _numbered(names: Sequence[str]) -> list[str]:
    """The same names, those that were there before with ``-2``, ``-3``, … behind them; no two are equal."""
    given: dict[str, None] = {}
    for name in names:
        tries = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
        given[next(one for one in tries if one not in given and (one == name or one not in names))] = None
    return list(given)


def _clean(text: str) -> str:
    """A lone surrogate has no form in a file; matplotlib leaves entries with a leading underscore out of a legend."""
    text = text.encode("utf-8", errors="replace").decode()
    return f" {text}" if text.startswith("_") else text


def _lines(axes: Axes, chart: Lines) -> None:
    ys = []
    for index, line in enumerate(chart.series):
        slot = (index if line.slot is None else line.slot) % 7
        xs = [x for x, _ in line.points]
        ys += [y for _, y in line.points if math.isfinite(y)]
        few = {"marker": _MARKERS[slot], "markersize": 3.5} if len(xs) <= 40 else {}
        style: dict[str, Any] = {"color": _COLOURS[slot], "linestyle": _DASHES[slot], "linewidth": 1.4, **few}
        axes.plot(xs, [y for _, y in line.points], label=_clean(line.name), **style)
    if chart.log_if_wide and ys and min(ys) > 0 and max(ys) / min(ys) > 50:
        axes.set_yscale("log")
    elif chart.from_zero:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(_clean(chart.x_label))
    axes.set_ylabel(_clean(chart.unit))


def _scatter(axes: Axes, chart: Scatter) -> None:
    for group in chart.groups:
        slot = group.slot % 7
        xs, ys = [x for x, _ in group.points], [y for _, y in group.points]
        style: dict[str, Any] = {"color": _COLOURS[slot], "marker": _MARKERS[slot], "markersize": 4.5}
        axes.plot(xs, ys, label=_clean(group.name) if group.name else "_", linestyle="none", **style)
        for (x, y), text in zip(group.points, group.labels, strict=False):
            axes.annotate(_clean(text), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    if chart.front:
        axes.step([x for x, _ in chart.front], [y for _, y in chart.front], "--", where="post", color=_COLOURS[6], lw=1)
    if chart.log_x:
        axes.set_xscale("log")
    if chart.diagonal:
        axes.axline((50, 50), slope=1, color=_COLOURS[6], linestyle=":", linewidth=1)
    if chart.x_label:
        axes.set_xlabel(_clean(chart.x_label))
        axes.set_ylabel(_clean(chart.y_label))
    else:
        axes.set_xticks([])
        axes.set_yticks([])
