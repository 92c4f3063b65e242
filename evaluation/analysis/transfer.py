"""Transfer tables: every backbone on every task, with the intervals of its seeds, and what its baseline says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .inputs import Stored
from .section import ReportTable, Section, columns, points

_WORDS = {"finetune": "fine-tuned", "linear": "linear probe", "knn": "nearest neighbours"}


def transfer_section(stored: Sequence[Stored]) -> Section | None:
    """A table for each task, mode and protocol; None where nothing was transferred."""
    groups: dict[tuple[str, str, str], list[Stored]] = {}
    for one in stored:
        settings = one.result.settings
        if "mode" in settings or one.result.task in ("detection", "segmentation"):
            mode = str(settings.get("mode", ""))
            groups.setdefault((one.result.dataset, mode, one.result.protocol), []).append(one)
    if not groups:
        return None
    tables: list[ReportTable] = []
    findings: list[str] = []
    protocols: list[str] = []
    for (dataset, mode, protocol), members in groups.items():
        rows = []
        for one in members:
            for metric, value in one.result.metrics.items():
                interval = one.result.intervals.get(metric)
                ends = _ends(interval.low, interval.high) if interval else ""
                seeds = str(len(interval.seeds)) if interval else "1"
                rows.append((one.name, metric, points(value), ends, seeds))
            difference = one.result.details.get("difference")
            if isinstance(difference, dict) and isinstance(difference.get("sentence"), str):
                findings.append(f"{dataset}, {_WORDS.get(mode, mode)}: {difference['sentence']}.")
        title = f"{dataset}, {_WORDS.get(mode, mode)}" if mode else dataset
        table = ReportTable(columns("Backbone", "metric", "mean", "95 % interval", "seeds", text=2), tuple(rows), title)
        tables.append(table)
        protocols.append(f"{title}: {protocol}.")
    note = "Intervals are of the mean over seeds, by Student's t."
    return Section("Transfer", lede=tuple(dict.fromkeys(findings)), tables=tuple(tables), notes=(note, *protocols))


def _ends(low: Any, high: Any) -> str:
    return "" if low is None or high is None else f"{points(low)} to {points(high)}"
