"""The tables of the four papers as data. Reading them imports no torch."""

from __future__ import annotations

from ...base.errors import UsageError
from ...base.suggestions import unknown
from .exrep import PAPER as EXREP
from .meal_v2 import PAPER as MEAL_V2
from .ssld import PAPER as SSLD
from .table import Column, Evaluate, Network, NotRun, OnLabels, PaperTables, RecipeRun, Row, Table, Transfer
from .xcl import PAPER as XCL

PAPERS: dict[str, PaperTables] = {paper.key: paper for paper in (MEAL_V2, SSLD, XCL, EXREP)}
"""By name."""

__all__ = [
    "PAPERS",
    "Column",
    "Evaluate",
    "Network",
    "NotRun",
    "OnLabels",
    "PaperTables",
    "RecipeRun",
    "Row",
    "Table",
    "Transfer",
    "get_paper",
    "get_table",
]


def get_paper(name: str) -> PaperTables:
    """The paper called ``name``.

    Raises:
        UsageError: There is none; the nearest name is given.
    """
    if name not in PAPERS:
        raise unknown(name, PAPERS, what="paper", where=f"there are {', '.join(PAPERS)}")
    return PAPERS[name]


def get_table(paper: PaperTables, number: str) -> Table:
    """The table of a paper that it counts as ``number``; ``table 3`` and ``s2`` are understood.

    Raises:
        UsageError: There is none; all of them are given.
    """
    wanted = number.lower().replace("table", "").strip()
    known = {table.number.lower(): table for table in paper.tables}
    if wanted not in known:
        there = [table.number for table in paper.tables]
        meant = f"did you mean 'S{wanted}'? " if f"s{wanted}" in known else ""
        raise UsageError(f"{paper.key} has no table {number!r}", hint=f"{meant}there are {', '.join(there)}")
    return known[wanted]
