"""``kdzoo report``."""

from __future__ import annotations

from typing import Any

import click

from .commands import VerbCommand
from .completion import DATA
from .options import json_option, section
from .output import echo, print_json, work
from .settings import setting


@click.command(
    "report",
    cls=VerbCommand,
    examples=[
        ("kdzoo report runs/baseline runs/student", "Curves, classes, calibration, weights of two runs, one page."),
        (
            "kdzoo report results --out zoo.html --figures figures",
            "Accuracy against cost of all models measured.",
        ),
        (
            "kdzoo report runs/baseline runs/student --data digits --classes 3,8,0,6",
            "Features of four classes, soft labels of the teachers.",
        ),
    ],
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--out", default="report.html", show_default=True, metavar="FILE", help="The page.")
@click.option("--figures", metavar="DIR", help="Also write every chart as PNG and SVG into this folder.")
@click.option("--pair", metavar="A,B", help="Models whose classes are compared: before, after.")
@section(
    "What needs the runs' models",
    setting("--data", type=DATA, metavar="SPEC", help="Labelled images to show to the models."),
    setting(
        "--classes",
        metavar="A,B,…",
        help="Whose features and soft labels to draw; by default two similar ones and two others.",
    ),
    setting("--layers", metavar="NAME,…", help="Weights to draw; the first, middle and last convolution."),
    setting("--device", metavar="NAME", default="auto", help="auto (the default), cpu, cuda or cuda:N."),
)
@json_option
def command(
    paths: tuple[str, ...],
    classes: str | None,
    layers: str | None,
    pair: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write one page over runs and results, with pictures that explain the numbers.

    PATH is a run, a folder of results or one document. A part appears where its data is there: training curves of the
    runs, one over the other; accuracy against parameters, multiply-accumulates and throughput with the Pareto front;
    accuracy of each class, the first model beside the last (or --pair), with the most similar classes; calibration;
    transfer tables; weights; with --data also features (t-SNE) and soft labels. The page ends with what is missing and
    how to get it. It is one file and loads nothing from elsewhere.
    """
    from .. import write_analysis

    with work():
        written = write_analysis(paths, classes=_names(classes), layers=_names(layers), pair=_names(pair), **options)
    if as_json:
        print_json(written.to_dict())
        return
    echo(str(written.page))
    if written.figures:
        echo(f"{len(written.figures)} figures in {written.figures[0].parent}")
    for what, how in written.missing:
        echo(f"not shown: {what} ({how})", err=True)


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
