"""What the verb does, as functions: take a folder, run what is to be run, give the results."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import DataError, RunError, UsageError
from ..base.suggestions import suggestion
from . import record as records
from .choices import choose
from .jobs import Jobs, slug

if TYPE_CHECKING:
    from .needs import Needs
    from .tables import PaperTables, Row, Table


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


def plan_table(
    table: Table, rows: Sequence[Row], given: Mapping[str, Any], *, measure: bool = False
) -> tuple[dict[str, Any], list[Needs]]:
    """What rows need and cost; nothing is started.

    Args:
        table: The table.
        rows: Of it.
        given: As ``choices.choose``.
        measure: Whether to time a few real steps.

    Returns:
        The choices, and each row's needs.
    """
    from .needs import needs_of

    choices = choose(given)
    _check_student(choices.student)
    jobs = Jobs(table, choices)
    return choices.to_dict(), [needs_of(row, jobs, measure=measure) for row in rows]


def reproduce(
    paper: PaperTables,
    table: Table,
    *,
    out: Path | str,
    rows: Sequence[str] = (),
    resume: bool = False,
    device: str = "auto",
    given: Mapping[str, Any] | None = None,
) -> records.Record:
    """Make a table again, or read what was made before.

    Args:
        paper: The table's.
        table: The table.
        out: Its folder.
        rows: Labels or numbers; all by default.
        resume: Go on with what is in ``out``: interrupted rows, rows left out, and rows that something was missing for.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        given: As ``choices.choose``.

    Raises:
        UsageError: There is no such row, or a choice is wrong.
        DataError: A small size has no images to run on.
        RunError, CheckpointError: ``out`` cannot be used or is in use, or its results are damaged.
        Interrupted: A signal came; everything finished so far is saved.
    """
    from ..base.holding import hold_folder
    from ..base.writing import remove_leftovers
    from .carry_out import Reproduction, is_main
    from .needs import missing_data

    folder, selected = Path(out).expanduser(), select_rows(table, rows)
    remove_leftovers(folder)
    found = records.read(folder)
    choices = choose(given or {}, None if found is None else found.document["choices"])
    if found is not None:
        records.refuse_other(found, paper.key, table.number, choices)
        if not resume:
            return _unchanged(found, [row.label for row in selected], asked=bool(rows))
    _check_student(choices.student)
    if choices.scale == "small" and (missing := missing_data(str(choices.data))):
        raise DataError(f"no images to run on: {missing[0]}", hint="--data digits is embedded and runs now")
    with hold_folder(folder) if is_main() else contextlib.nullcontext():
        own = _own_folders(table) if resume else ()
        record = records.read(folder) or records.begin(folder, paper, table, choices, own=own)
        Reproduction(table, Jobs(table, choices), record, device=device).run(selected)
    return record


def _own_folders(table: Table) -> tuple[str, ...]:
    return ("teachers", "students", *(slug(row.label) for row in table.rows))


def _unchanged(record: records.Record, labels: Sequence[str], *, asked: bool) -> records.Record:
    """The finished results; refuses where rows that were asked for are not finished.

    Raises:
        RunError: Some of them are not.
    """
    statuses = {label: record.row(label)["status"] for label in labels}
    open_ = [label for label, status in statuses.items() if status == records.PENDING]
    open_ += [label for label, status in statuses.items() if asked and status == records.LEFT_OUT]
    if open_:
        raise RunError(
            f"{record.out} holds this table unfinished ({len(open_)} row{'s' if len(open_) > 1 else ''} to go)",
            hint="--resume goes on with it; --out starts another",
        )
    return record


def _check_student(reference: str | None) -> None:
    """Refuse a student that names nothing before anything is trained."""
    if reference is not None:
        from ..zoo import parse_reference

        parse_reference(reference)
