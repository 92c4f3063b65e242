"""``kdzoo reproduce`` as functions: the papers' tables, what their rows take, and a table made again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .base.errors import DataError, RunError, UsageError
from .base.suggestions import suggestion

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
    paper: str | PaperTables,
    table: str | Table,
    *,
    rows: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    **choices: Unpack[TableChoices],
) -> Record:
    """Make a paper's table again, or read what was made before.

    Args:
        paper: As `list_tables` names it, or one of your own.
        table: Its number, as the paper counts (``3``, ``S2``), or one of your own.
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
    from .base.holding import hold_folder
    from .base.writing import remove_leftovers
    from .papers import record as records
    from .papers.carry_out import Reproduction, is_main
    from .papers.choices import choose
    from .papers.jobs import Jobs
    from .papers.needs import missing_data

    own_paper, own_table = _find(paper, table)
    small = "-small" if choices.get("scale") == "small" else ""
    folder = Path(out or f"runs/{own_paper.key}-table-{own_table.number}{small}").expanduser()
    selected = select_rows(own_table, rows)
    remove_leftovers(folder)
    found = records.read(folder)
    chosen = choose(choices, None if found is None else found.document["choices"])
    if found is not None:
        records.refuse_other(found, own_paper.key, own_table.number, chosen)
        if not resume:
            return _unchanged(found, [row.label for row in selected], asked=bool(rows))
    _check_student(chosen.student)
    if chosen.scale == "small" and (missing := missing_data(str(chosen.data))):
        raise DataError(f"no images to run on: {missing[0]}", hint="--data digits is embedded and runs now")
    with hold_folder(folder) if is_main() else contextlib.nullcontext():
        own = _own_folders(own_table) if resume else ()
        record = records.read(folder) or records.begin(folder, own_paper, own_table, chosen, own=own)
        Reproduction(own_table, Jobs(own_table, chosen), record, device=device).run(selected)
    return record


def plan_table(
    paper: str | PaperTables,
    table: str | Table,
    *,
    rows: Sequence[str] = (),
    measure: bool = False,
    **choices: Unpack[TableChoices],
) -> PlannedTable:
    """What the rows of a table take; nothing is started.

    Args:
        measure: Whether to time a few real steps of each row.
        paper, table, rows, choices: As those of `reproduce`.

    Raises:
        UsageError: As `reproduce`. (What is missing is no error here: see ``needs``.)
    """
    from .papers.choices import choose
    from .papers.jobs import Jobs
    from .papers.needs import needs_of

    own_paper, own_table = _find(paper, table)
    selected, chosen = select_rows(own_table, rows), choose(choices)
    _check_student(chosen.student)
    jobs = Jobs(own_table, chosen)
    needs = tuple(needs_of(row, jobs, measure=measure) for row in selected)
    return PlannedTable(paper=own_paper, table=own_table, rows=tuple(selected), choices=chosen.to_dict(), needs=needs)


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


def _find(paper: str | PaperTables, table: str | Table) -> tuple[PaperTables, Table]:
    """A paper and its table, by name where they are not given themselves."""
    from .papers.tables import get_paper, get_table

    found = get_paper(paper) if isinstance(paper, str) else paper
    return found, get_table(found, table) if isinstance(table, str) else table


def select_rows(table: Table, wanted: Sequence[str]) -> list[Row]:
    """The rows that were asked for, in the table's order; all where none was.

    Args:
        table: The table.
        wanted: Labels, or numbers from 1.

    Raises:
        UsageError: There is no such row; the nearest one is given.
    """
    labels = [row.label for row in table.rows]
    chosen = set()
    for text in wanted:
        matches = [label for label in labels if label.lower() == text.strip().lower()]
        if not matches and text.strip().isdigit() and 1 <= int(text) <= len(labels):
            matches = [labels[int(text) - 1]]
        if not matches:
            numbered = "; ".join(f"{number} {label}" for number, label in enumerate(labels, start=1))
            hint = suggestion(text, labels, f"there are {numbered}")
            raise UsageError(f"table {table.number} has no row {text!r}", hint=hint)
        chosen.update(matches)
    return [row for row in table.rows if not wanted or row.label in chosen]


def _own_folders(table: Table) -> tuple[str, ...]:
    from .papers.jobs import slug

    return ("teachers", "students", *(slug(row.label) for row in table.rows))


def _unchanged(record: Record, labels: Sequence[str], *, asked: bool) -> Record:
    """The finished results; refuses where rows that were asked for are not finished.

    Raises:
        RunError: Some of them are not.
    """
    from .papers.record import LEFT_OUT, PENDING

    statuses = {label: record.row(label)["status"] for label in labels}
    open_ = [label for label, status in statuses.items() if status == PENDING]
    open_ += [label for label, status in statuses.items() if asked and status == LEFT_OUT]
    if open_:
        raise RunError(
            f"{record.out} holds this table unfinished ({len(open_)} row{'s' if len(open_) > 1 else ''} to go)",
            hint="--resume goes on with it; --out starts another",
        )
    return record


def _check_student(reference: str | None) -> None:
    """Refuse a student that names nothing before anything is trained."""
    if reference is not None:
        from .zoo import parse_reference

        parse_reference(reference)
