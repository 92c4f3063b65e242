"""``kdzoo eval``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .commands import VerbCommand
from .completion import DATA
from .listing import format_options
from .output import print_json, print_rows, work
from .settings import config_option, setting

if TYPE_CHECKING:
    from ..api import Measured

_COLUMNS = ("model", "dataset", "top1", "top5", "loss", "num_images")


@click.command(
    "eval",
    cls=VerbCommand,
    examples=[
        ("kdzoo eval runs/student --on digits", "A run's own student."),
        ("kdzoo eval resnet50.a1_in1k resnet50.ram_in1k --on imagenet", "Two sets of weights, side by side."),
    ],
)
@click.argument("references", nargs=-1, required=True, metavar="REF…")
@setting(
    "--on",
    multiple=True,
    required=True,
    type=DATA,
    metavar="SPEC",
    help="Labelled data; its validation split. Repeatable, or several with commas.",
)
@setting("--batch-size", type=click.IntRange(min=1), metavar="N", default=64, show_default=True, help="Images at once.")
@setting("--image-size", type=click.IntRange(min=1), metavar="PIXELS", help="In place of the model's own.")
@setting(
    "--crop-pct",
    type=click.FloatRange(min=0, max=1, min_open=True),
    metavar="FRACTION",
    help="Crop over resized short side, in place of the model's own.",
)
@setting("--interpolation", type=click.Choice(["bilinear", "bicubic"]), help="In place of the model's own.")
@setting("--workers", type=click.IntRange(min=0), metavar="N", help="Processes that read images.")
@setting("--device", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@config_option()
@format_options
def command(references: tuple[str, ...], on: tuple[str, ...], form: str, as_json: bool, **options: Any) -> None:
    """Measure top-1, top-5 and loss of models on labelled data, each image exactly once.

    REF is a timm name (resnet50.a1_in1k), hf-hub:ORG/NAME, local-dir:PATH, or a run's folder. Several print one table.
    """
    from ..api import evaluate

    with work():
        measured = evaluate(references, _specs(on), **options)
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        documents = by_model(measured)
        print_json(documents[0] if len(references) == 1 else {"models": documents})
        return
    rows = [{"model": one.model, **one.to_dict()} for one in measured]
    print_rows(rows, {name: name for name in _COLUMNS}, form)


def by_model(measured: list[Measured]) -> list[dict[str, Any]]:
    """``{"model", "results": [...]}`` for each model, in order."""
    documents: dict[str, dict[str, Any]] = {}
    for one in measured:
        documents.setdefault(one.model, {"model": one.model, "results": []})["results"].append(one.to_dict())
    return list(documents.values())


def _specs(texts: tuple[str, ...]) -> list[str]:
    """The data specs: comma lists taken apart, unless the whole text is the path of something."""
    specs: list[str] = []
    for text in texts:
        parts = [text] if os.path.exists(text) else [part for part in text.split(",") if part.strip()]
        specs += [part.strip() for part in parts if part.strip() not in specs]
    return specs
