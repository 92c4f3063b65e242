"""``kdzoo reproduce`` as functions: the papers' tables, what their rows take, and a table made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    from .papers.needs import Needs
    from .papers.record import Record
    from .papers.tables import PaperTables, Row, Table


class TableChoices(TypedDict, total=False):
    """What decides the results of a reproduction; what is None is not given.

    Attributes:
        scale: ``full`` (the paper's settings, the default) or ``small`` (tiny networks, few epochs).
        data: Data spec in place of the rows' own; at a small size, ``digits`` by default.
        student: A model reference in place of the rows' students.
        epochs: In place of the table's usual length; rows of another length keep their proportion.
        unlabeled: Data spec of unlabeled images, for rows that take them.
        seeds: Number of runs a row.
        seed: Of the first of them.
        released: Whether rows whose weights the authors released are evaluated rather than trained.
    """

    scale: Literal["full", "small"] | None
    data: str | None
    student: str | None
    epochs: int | None
    unlabeled: str | None
    seeds: int | None
    seed: int | None
    released: bool | None


def list_tables(paper: str | None = None) -> list[PaperTables]:
    """The tables of one paper, or of all papers that can be made again.

    Args:
        paper: ``meal_v2``, ``ssld``, ``xcl`` or ``exrep``.

    Raises:
        UsageError: There is no such paper; the nearest name is given.
    """
    from .papers.tables import PAPERS, get_paper

    return list(PAPERS.values()) if paper is None else [get_paper(paper)]


def reproduce(
    paper: str,
    table: str,
    *,
    rows: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    **choices: Unpack[TableChoices],
) -> Record:
    """Make a paper's table again, or read what was made before.

    Args:
        paper: As `list_tables` names it.
        table: Its number, as the paper counts: ``3``, ``S2``.
        rows: Labels, or numbers from 1; all by default.
        out: The folder; under ``runs/`` by default.
        resume: Go on with what is in ``out``: interrupted rows, rows left out, and rows that something was missing for.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        choices: ``scale``, ``data``, ``epochs`` and the others of `TableChoices`.

    Raises:
        UsageError: There is no such table or row, or a choice is wrong.
        DataError: A small size has no images to run on.
        RunError, CheckpointError: ``out`` cannot be used or is in use, or its results are damaged.
        Interrupted: A signal came; everything finished so far is saved.
    """
    from .papers.reproduce import reproduce as carry_out
    from .papers.tables import get_paper, get_table

    found = get_paper(paper)
    chosen = get_table(found, table)
    small = "-small" if choices.get("scale") == "small" else ""
    folder = out or Path("runs", f"{found.key}-table-{chosen.number}{small}")
    return carry_out(found, chosen, out=folder, rows=rows, resume=resume, device=device, given=choices)


def plan_table(
    paper: str, table: str, *, rows: Sequence[str] = (), measure: bool = False, **choices: Unpack[TableChoices]
) -> PlannedTable:
    """What the rows of a table take; nothing is started.

    Args:
        measure: Whether to time a few real steps of each row.
        paper, table, rows, choices: As those of `reproduce`.

    Raises:
        UsageError: As `reproduce`. (What is missing is no error here: see ``needs``.)
    """
    from .papers.reproduce import plan_table as plan_rows
    from .papers.reproduce import select_rows
    from .papers.tables import get_paper, get_table

    found = get_paper(paper)
    chosen = get_table(found, table)
    selected = select_rows(chosen, rows)
    settled, needs = plan_rows(chosen, selected, choices, measure=measure)
    return PlannedTable(paper=found, table=chosen, rows=tuple(selected), choices=settled, needs=tuple(needs))


@dataclass(frozen=True, kw_only=True)
class PlannedTable:
    """Rows of a table that are settled and have not begun.

    Attributes:
        paper: The table's.
        table: The table.
        rows: Those that were chosen.
        choices: What was asked for; see `TableChoices`.
        needs: What each row needs and costs.
    """

    paper: PaperTables
    table: Table
    rows: tuple[Row, ...]
    choices: dict[str, Any]
    needs: tuple[Needs, ...]

    @property
    def numbers(self) -> list[int]:
        """The rows' places in the table, from 1."""
        return [self.table.rows.index(row) + 1 for row in self.rows]

    @property
    def ready(self) -> dict[int, bool]:
        """Whether each row that runs something could start, by its number."""
        return {number: one.could_start for number, one in zip(self.numbers, self.needs, strict=True) if one.is_run}

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        each = zip(self.needs, self.rows, strict=True)
        return {
            "paper": self.paper.key,
            "table": self.table.number,
            "title": self.table.title,
            "choices": self.choices,
            "rows": [{**one.to_dict(), "paper": dict(row.numbers)} for one, row in each],
            "starts": any(self.ready.values()) or not self.ready,
        }
