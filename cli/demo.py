"""``kdzoo demo``."""

from __future__ import annotations

import click

from .commands import VerbCommand
from .config_file import config_option
from .options import SEED, json_option
from .output import echo, print_json, work
from .settings import setting


@click.command(
    cls=VerbCommand,
    examples=[
        ("kdzoo demo", "Then open runs/demo/report.html."),
        ("kdzoo demo --seed 1 --out runs/demo-1", "Once more, with other random numbers."),
    ],
)
@setting("--out", metavar="DIR", default="runs/demo", show_default=True, help="Folder for the runs and the report.")
@setting("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of every random choice.")
@click.option("--quick", is_flag=True, help="One short draw: shows that everything works, its numbers mean nothing.")
@config_option
@json_option
def command(out: str, seed: int, quick: bool, as_json: bool) -> None:
    """The whole story on embedded real images: few labels, teachers, a student with and without them, report.

    Interrupted and called again, it goes on where it was.
    """
    from .. import run_demo

    with work():
        result = run_demo(out, seed=seed, **({"draws": 1, "epochs": 1} if quick else {}))
    if as_json:
        print_json(result.to_dict())
        return
    echo(result.table(), lines=True)
    echo(f"\n{result.verdict}")
    echo(f"report: {result.report}")
