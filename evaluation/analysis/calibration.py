"""Reliability diagrams: how often a model is right where it says how sure it is (C. Guo et al., ICML 2017, Fig. 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...base.json_document import as_count, as_number, as_objects
from ..charts import MOST, Lines, Series
from .inputs import Stored
from .section import ReportTable, Section, columns, points, slug


def calibration_section(stored: Sequence[Stored]) -> Section | None:
    """A diagram for each data set whose results hold bins; None where there is none."""
    groups: dict[tuple[str, str], list[Stored]] = {}
    for one in stored:
        if _line(one):
            groups.setdefault((one.result.dataset, one.result.split), []).append(one)
    charts, rows = [], []
    for (dataset, split), members in groups.items():
        shown = members[: MOST - 1]
        series = [Series(one.name, _line(one), slot) for slot, one in enumerate(shown)]
        series.append(Series("as sure as right", ((0.0, 0.0), (100.0, 100.0)), 6))
        charts.append(
            Lines(
                name=slug("reliability", dataset, split),
                title=f"Right answers, {dataset}",
                series=tuple(series),
                x_label="percent that the model gives its answer",
                unit="%",
                from_zero=True,
                last_values=False,
            )
        )
        for one in members:
            metrics = one.result.metrics
            rows.append((f"{one.name}, {dataset}", points(metrics.get("ece"), unit=" %"), points(metrics.get("top1"))))
    if not charts:
        return None
    table = ReportTable(columns("Model", "expected calibration error", "top-1"), tuple(rows))
    notes = ("Below the straight line a model is surer than it is right. Bins of fewer than 10 images are left out.",)
    return Section("Calibration", charts=tuple(charts), tables=(table,), notes=notes)


def _line(one: Stored) -> tuple[tuple[float, float], ...]:
    bins = as_objects(one.result.details.get("reliability"))
    rows = [row for row in bins if as_count(row.get("count")) >= 10]
    found = [(as_number(row.get("confidence")), as_number(row.get("accuracy"))) for row in rows]
    return tuple(point for point in found if all(map(math.isfinite, point)))
