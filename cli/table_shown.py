"""What ``kdzoo reproduce`` prints: results and needs as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ..base.amounts import amount

if TYPE_CHECKING:
    from .. import PlannedTable

_WIDTH = 80
_WORDS = {"pending": "interrupted", "transfer": "kdzoo transfer", "reference": "nothing to run"}
"""What is shown of a row's status where it is not the status itself."""


def result_rows(document: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The table with the paper's numbers and ours.

    Returns:
        The rows, and the headings by field.
    """
    small = document["choices"]["scale"] == "small"
    headings = {"row": "row"}
    measured = {
        column["key"]: any(column["key"] in row["ours"] for row in document["rows"]) for column in document["columns"]
    }
    for column in document["columns"]:
        key, heading = column["key"], column["heading"]
        headings[key] = f"{heading} paper" if measured[key] else heading
        if measured[key]:
            headings[f"{key} ours"] = "ours"
            if not small:
                headings[f"{key} difference"] = "difference"
    ranks = _ranks(document) if small else {}
    if ranks:
        headings["order"] = "order paper/ours"
    headings["status"] = ""
    rows = []
    for row in document["rows"]:
        cells: dict[str, Any] = {"row": row["label"], "status": _WORDS.get(row["status"], row["status"])}
        for column in document["columns"]:
            key = column["key"]
            cells[key] = _number(row["paper"].get(key))
            cells[f"{key} ours"] = _ours(row, key)
            gap = row.get("difference", {}).get(key)
            cells[f"{key} difference"] = None if gap is None else f"{gap:+.2f}"
        if row["label"] in ranks:
            cells["order"] = "{} / {}".format(*ranks[row["label"]])
        rows.append(cells)
    return rows, headings


def _number(value: Any) -> str | None:
    """As printed in a paper: no digits are added."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".") if value != round(value, 2) else f"{value:.2f}".removesuffix("0")
    return None if value is None else str(value)


def _ours(row: Mapping[str, Any], key: str) -> str | None:
    value = row["ours"].get(key)
    if value is None:
        return None
    spread = row.get("spread", {}).get(key)
    return f"{value:.2f}" if spread is None else f"{value:.2f} ± {spread:.2f}"


def _compared(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, float, float]]] | None:
    """The column whose order can be looked at, and (row, paper, ours) of those that have both numbers."""
    for column in document["columns"]:
        pairs = [
            (row["label"], float(row["paper"][column["key"]]), float(row["ours"][column["key"]]))
            for row in document["rows"]
            if column["key"] in row["ours"] and isinstance(row["paper"].get(column["key"]), int | float)
        ]
        if column["better"] is not None and len(pairs) > 1:
            return column, pairs
    return None


def _ranks(document: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Each row's place in the paper and here, 1 for the best; equal numbers share one."""
    found = _compared(document)
    if found is None:
        return {}
    column, pairs = found
    sign = -1 if column["better"] == "higher" else 1
    theirs = sorted(sign * paper for _, paper, _ in pairs)
    own = sorted(sign * ours for _, _, ours in pairs)
    return {label: (theirs.index(sign * paper) + 1, own.index(sign * ours) + 1) for label, paper, ours in pairs}


def result_lines(document: Mapping[str, Any]) -> list[str]:
    """What must be said beside the numbers."""
    choices, rows = document["choices"], document["rows"]
    lines = []
    done = [row for row in rows if row["status"] == "done"]
    if choices["scale"] == "small":
        lines.append(_small_words(document))
    lines += _scaled_lines(done)
    for status, lead in (("missing", "missing"), ("reference", "nothing to run")):
        reasons: dict[str, list[str]] = {}
        for row in rows:
            if row["status"] == status:
                reasons.setdefault(row["why"], []).append(row["label"])
        lines += [f"{lead}: {', '.join(labels)}: {why}" for why, labels in reasons.items()]
    for row in rows:
        if row["status"] == "transfer":
            lines.append(f"{row['label']}: run with: {'; '.join(row['commands'])} ({row['why']})")
    lines += [f"note: {row['label']}: {row['note']}" for row in rows if row.get("note")]
    lines += [f"note: {note}" for note in document.get("notes", ())]
    if any(row["status"] == "left out" for row in rows):
        lines.append("rows left out: the same command with --resume runs them")
    return lines


def _small_words(document: Mapping[str, Any]) -> str:
    seeds = document["choices"]["seeds"]
    many = f"{seeds} seeds a row" if seeds > 1 else "one seed a row"
    text = f"a small size: only the order of the rows may be looked at, never the accuracies; {many}"
    found = _compared(document)
    if found is None:
        return text
    column, pairs = found
    decided = [(first, second) for first, second in combinations(pairs, 2) if first[1] != second[1]]
    same = sum((first[1] - second[1]) * (first[2] - second[2]) > 0 for first, second in decided)
    return f"{text}; {same} of {len(decided)} pairs of rows stand in the paper's order ({column['heading']})"


def _scaled_lines(done: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was scaled down: for all rows together, then what is a row's own."""
    if not any(row["scaled_down"] for row in done):
        return []
    shared = [text for text in done[0]["scaled_down"] if all(text in row["scaled_down"] for row in done)]
    lines = [f"scaled down, all rows: {'; '.join(shared)}"] if shared else []
    own: dict[str, list[str]] = {}
    for row in done:
        rest = "; ".join(text for text in row["scaled_down"] if text not in shared)
        if rest:
            own.setdefault(rest, []).append(row["label"])
    return lines + [f"scaled down, {', '.join(labels)}: {rest}" for rest, labels in own.items()]


def needs_rows(planned: PlannedTable) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What each row needs and costs, as text.

    Returns:
        The rows, and the headings by field.
    """
    rows = [
        {
            "#": number,
            "row": one.label,
            "does": one.does,
            "steps": None if one.steps is None else f"{one.steps:,}",
            "compute": None if one.flops is None else f"{amount(one.flops)}FLOP",
            "disk": None if one.disk_bytes is None else f"{amount(one.disk_bytes)}B",
            "time": None if one.seconds is None else str(timedelta(seconds=round(one.seconds))),
        }
        for one, number in zip(planned.needs, planned.numbers, strict=True)
    ]
    costs = (name for name in ("steps", "compute", "disk", "time") if any(row[name] for row in rows))
    return rows, {name: name for name in ("#", "row", "does", *costs)}


def grounds_lines(planned: PlannedTable) -> list[str]:
    """A line a row of at most 80 characters: what is exact, inferred, missing."""
    wide = max((len(str(number)) for number in planned.numbers), default=1)
    each = zip(planned.needs, planned.numbers, strict=True)
    lines = (f"{number:>{wide}}  {one.grounds.line(_WIDTH - wide - 2)}" for one, number in each)
    return ["rests on, row by row:", *lines]


def needs_lines(planned: PlannedTable) -> list[str]:
    """What is trained first, the whole cost, and what is missing, each once with the rows that it is for."""
    lines = []
    for lead, field in (("trained first", "first"), ("missing", "missing"), ("by hand", "commands"), ("note", "notes")):
        found: dict[str, list[int]] = {}
        for one, number in zip(planned.needs, planned.numbers, strict=True):
            for item in getattr(one, field):
                if field != "commands" or one.kind != "recipe":
                    found.setdefault(str(item), []).append(number)
        for text, rows in found.items():
            where = f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}"
            where = "all rows" if len(rows) == len(planned.needs) > 1 else where
            lines.append(f"{lead}, {where}: {text}")
    return [*_total(planned), *lines]


def _total(planned: PlannedTable) -> list[str]:
    """All runs together, those that rows share counted once."""
    flops: dict[str, float | None] = {}
    disk: dict[str, int] = {}
    for one in planned.needs:
        runs = [*((f, one.flops, one.disk_bytes, one.runs) for f in one.folders)]
        for folder, total, size, count in runs:
            flops[folder] = None if total is None else total / count
            disk[folder] = (size or 0) // count
        for first in one.first:
            flops.update(dict.fromkeys(first.folders, first.flops))
            disk.update(dict.fromkeys(first.folders, first.disk_bytes))
    if not disk:
        return []
    known = [value for value in flops.values() if value is not None]
    compute = f"{amount(sum(known))}FLOP, " if len(known) == len(flops) else ""
    return [f"together: {len(disk)} training run{'s' if len(disk) > 1 else ''}, {compute}{amount(sum(disk.values()))}B"]
