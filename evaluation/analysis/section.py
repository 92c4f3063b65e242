"""A part of the page: charts, tables, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..charts import Chart


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        numeric: Whether it is set flush right.
    """

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class ReportTable:
    """Rows of texts; the first column names the row."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        lede: Sentences under it.
        charts: Drawn in a grid.
        tables: Below them.
        notes: How to read it, at the end.
        pictures: As `picture` gives them.
    """

    title: str
    lede: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[dict[str, Any], ...] = field(default=(), repr=False)


def columns(*titles: str, text: int = 1) -> tuple[Column, ...]:
    """Headings: the first ``text`` of them of texts, the others of numbers."""
    return tuple(Column(title, i >= text) for i, title in enumerate(titles))


def points(value: float | None, *, sign: bool = False, unit: str = "") -> str:
    """A number of percent or points with two places; "" for none."""
    if value is None or value != value:
        return ""
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    return text.replace("-", "−") + unit


def slug(*words: str) -> str:
    """Words as a file name in lower case, joined by hyphens."""
    import re

    return "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:40] or "x" for word in words)


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
