"""``kdzoo reproduce``."""

from __future__ import annotations

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
from .table_shown import grounds_lines, needs_lines, needs_rows, result_lines, result_rows

if TYPE_CHECKING:
    from .. import Record

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
    form = "json" if as_json else form
    if paper is None or table is None:
        _list(paper, form)
        return
    choices = {name: options[name] for name in _CHOICES}
    if options["dry_run"]:
        if not _show_needs(paper, table, options, choices, form):
            click.get_current_context().exit(1)
        return
    if options["measure"]:
        raise UsageError("--measure goes with --dry-run", hint="add --dry-run, or leave --measure out")
    from .. import reproduce

    how = {name: options[name] for name in ("rows", "out", "resume", "device")}
    with work():
        record = reproduce(paper, table, **how, **choices)
    if is_main():
        _print(record, form)
        if form == "table" and record.document["choices"]["scale"] == "full":
            _print_grounds(paper, table, record)


def _print_grounds(paper: str, table: str, record: Record) -> None:
    """What each row rests on, below its numbers."""
    from .. import plan_table

    rows = [row["label"] for row in record.rows if row["status"] != "left out"]
    _echo(grounds_lines(plan_table(paper, table, rows=rows, **record.document["choices"])), ())


def _list(paper: str | None, form: str) -> None:
    """The tables of one paper, or of all."""
    from .. import list_tables

    papers = list_tables(paper)
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


def _show_needs(paper: str, table: str, options: dict[str, Any], choices: dict[str, Any], form: str) -> bool:
    """Print what each row takes; returns whether any could start."""
    from .. import plan_table

    with work():
        planned = plan_table(paper, table, rows=options["rows"], measure=options["measure"], **choices)
        document = planned.to_dict()
    starts: bool = document["starts"]
    if form == "json":
        print_json(document)
        return starts
    if form == "table":
        print_verdict([] if starts else ["something is missing for each row, see below"], _rows_ready(planned.ready))
        echo()
    cells, headings = needs_rows(planned)
    print_rows(cells, headings, form, title=f"{planned.table.citation}: {planned.table.title}")
    if form == "table":
        _echo(grounds_lines(planned), ())
        _echo(needs_lines(planned), (*planned.table.notes, *planned.paper.notes))
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
    document = record.document
    if form == "json":
        print_json({**document, "out": str(record.out)})
        return
    rows, headings = result_rows(document)
    print_rows(rows, headings, form, title=f"{document['citation']}: {document['title']}")
    if form == "table":
        _echo([*result_lines(document), f"results: {record.out / 'results.json'}"], ())
