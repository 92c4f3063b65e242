"""``kdzoo reproduce``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import UsageError
from ..base.setting_values import Epochs, Runs
from .commands import VerbCommand
from .completion import DATA
from .config_file import config_option
from .dry_run import print_verdict
from .options import SEED, device_option, format_options, option, section
from .output import echo, is_main, print_json, print_rows, work
from .settings import setting, within

if TYPE_CHECKING:
    from ..papers.record import Record
    from ..papers.tables import PaperTables, Table

_CHOICES = ("scale", "data", "student", "epochs", "unlabeled", "seeds", "seed", "released")


@click.command(
    cls=VerbCommand,
    examples=[
        ("kdzoo reproduce", "The papers and their tables."),
        ("kdzoo reproduce meal_v2 3 --dry-run", "What each row takes, costs, and is missing."),
        (
            "kdzoo reproduce xcl S1 --scale small --data digits --out runs/xcl-s1",
            "The rows at a small size, in minutes: their order alone may be looked at.",
        ),
        (
            'kdzoo reproduce meal_v2 3 --released --data imagenet:/data/imagenet --row "ResNet-50 + MEAL V2"',
            "One row, with the weights that its authors released.",
        ),
        ("kdzoo reproduce … --out runs/xcl-s1 --resume", "Go on; finished rows are not run again."),
    ],
)
@click.argument("paper", required=False)
@click.argument("table", required=False)
@section(
    "What",
    setting("--row", "rows", multiple=True, metavar="LABEL", help="One row, or its number. Repeatable."),
    setting(
        "--scale",
        type=click.Choice(["full", "small"]),
        help="The paper's settings, or tiny networks and few epochs.  [default: full]",
    ),
    setting(
        "--data",
        metavar="SPEC",
        type=DATA,
        help="Images in place of the rows' own; digits at a small size by default.",
    ),
    setting("--unlabeled", metavar="SPEC", type=DATA, help="Unlabeled images, for rows that take them."),
    setting("--student", metavar="REF", help="In place of the rows' students."),
)
@section(
    "How",
    setting(
        "--released",
        is_flag=True,
        default=None,
        help="Evaluate the weights that the authors released, where there are any, rather than train.",
    ),
    setting(
        "--epochs",
        type=within(Epochs),
        metavar="N",
        help="In place of the usual length; rows of another length in proportion. 8 at a small size.",
    ),
    setting("--seeds", type=within(Runs), metavar="N", help="Runs a row.  [default: 1]"),
    setting("--seed", type=SEED, metavar="N", help="Of the first run.  [default: 0]"),
)
@option("--dry-run", is_flag=True, help="Show what each row does, costs, and is missing; start nothing.")
@option("--measure", is_flag=True, help="With --dry-run: time a few real steps of each row.")
@section(
    "The run",
    setting("--out", metavar="DIR", help="The folder; under runs/ by default."),
    setting("--resume", is_flag=True, help="Go on with what is in --out, or start it."),
    device_option,
    config_option,
)
@format_options
def command(paper: str | None, table: str | None, form: str, as_json: bool, **options: Any) -> None:
    """Make a paper's table again: what each row takes, and the paper's numbers beside ours.

    PAPER is meal_v2, ssld, xcl or exrep, TABLE a number as the paper counts (3, S2). Without TABLE, the paper's tables
    are listed. A second call on a finished --out prints its results again and runs nothing.
    """
    from ..papers.tables import get_paper, get_table

    form = "json" if as_json else form
    if paper is None or table is None:
        _list(paper, form)
        return
    found = get_paper(paper)
    chosen = get_table(found, table)
    if options["dry_run"]:
        if not _show_needs(found, chosen, options, form):
            click.get_current_context().exit(1)
        return
    if options["measure"]:
        raise UsageError("--measure goes with --dry-run", hint="add --dry-run, or leave --measure out")
    from ..papers.reproduce import reproduce

    out = options["out"] or default_folder(found, chosen, options["scale"])
    with work():
        record = reproduce(
            found,
            chosen,
            out=out,
            rows=options["rows"],
            resume=options["resume"],
            device=options["device"],
            given={name: options[name] for name in _CHOICES},
        )
    if is_main():
        _print(record, form)
        if form == "table" and record.document["choices"]["scale"] == "full":
            _print_grounds(chosen, record)


def _print_grounds(table: Table, record: Record) -> None:
    """What each row rests on, below its numbers."""
    from ..papers.record import LEFT_OUT
    from ..papers.reproduce import plan_table
    from ..papers.shown import grounds_lines

    known = {row["label"]: row["status"] for row in record.document["rows"]}
    rows = [row for row in table.rows if known.get(row.label) != LEFT_OUT]
    numbers = [table.rows.index(row) + 1 for row in rows]
    _echo(grounds_lines(plan_table(table, rows, record.document["choices"])[1], numbers), ())


def default_folder(paper: PaperTables, table: Table, scale: str | None) -> str:
    """The folder where none was given."""
    return os.path.join("runs", f"{paper.key}-table-{table.number}" + ("-small" if scale == "small" else ""))


def _list(paper: str | None, form: str) -> None:
    """The tables of one paper, or of all."""
    from ..papers.tables import PAPERS, get_paper

    papers = list(PAPERS.values()) if paper is None else [get_paper(paper)]
    rows = []
    for one in papers:
        for table in one.tables:
            kinds = [row.takes.kind for row in table.rows]
            counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
            rows.append(
                {
                    "paper": one.key,
                    "table": table.number,
                    "title": table.title,
                    "rows": len(kinds),
                    "takes": counted,
                    "citation": table.citation,
                }
            )
    shown = ("paper", "table", "title", "rows", "takes")
    print_rows(rows, {name: name for name in shown}, form)
    if form == "table":
        for one in papers:
            for note in one.notes:
                echo(f"note: {one.key}: {note}")


def _show_needs(paper: PaperTables, table: Table, options: dict[str, Any], form: str) -> bool:
    """Print what each row takes; returns whether any could start."""
    from ..papers.reproduce import plan_table, select_rows
    from ..papers.shown import grounds_lines, needs_lines, needs_rows

    rows = select_rows(table, options["rows"])
    numbers = [table.rows.index(row) + 1 for row in rows]
    with work():
        choices, needs = plan_table(table, rows, {name: options[name] for name in _CHOICES}, measure=options["measure"])
    run = {number: one.could_start for number, one in zip(numbers, needs, strict=True) if one.is_run}
    starts = any(run.values()) or not run
    if form == "json":
        document = {"paper": paper.key, "table": table.number, "title": table.title, "choices": choices}
        print_json(
            {
                **document,
                "rows": [{**one.to_dict(), "paper": dict(row.numbers)} for one, row in zip(needs, rows, strict=True)],
                "starts": starts,
            }
        )
        return starts
    if form == "table":
        print_verdict([] if starts else ["something is missing for each row, see below"], _rows_ready(run))
        echo()
    cells, headings = needs_rows(needs, numbers)
    print_rows(cells, headings, form, title=f"{table.citation}: {table.title}")
    if form == "table":
        _echo(grounds_lines(needs, numbers), ())
        _echo(needs_lines(needs, numbers), (*table.notes, *paper.notes))
    return starts


def _rows_ready(run: dict[int, bool]) -> str:
    ready = [str(number) for number, starts in run.items() if starts]
    if len(ready) in (0, len(run)):
        return "all rows" if ready else ""
    return f"row{'s' if len(ready) > 1 else ''} {', '.join(ready)}; something is missing for the others, see below"


def _echo(lines: list[str], notes: tuple[str, ...]) -> None:
    echo()
    for line in (*lines, *(f"note: {note}" for note in notes)):
        echo(line)


def _print(record: Record, form: str) -> None:
    from ..papers.shown import result_lines, result_rows

    document = record.document
    if form == "json":
        print_json({**document, "out": str(record.out)})
        return
    rows, headings = result_rows(document)
    print_rows(rows, headings, form, title=f"{document['citation']}: {document['title']}")
    if form == "table":
        _echo([*result_lines(document), f"results: {record.out / 'results.json'}"], ())
