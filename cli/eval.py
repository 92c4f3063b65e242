"""``kdzoo eval``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..base.setting_values import Colour, CropPct, Deviation
from .commands import VerbCommand
from .completion import DATA
from .config_file import config_option
from .options import COUNT, PIXELS, SHARE, WORKERS, device_option, format_options, option, section
from .output import echo, is_main, print_json, print_rows, work
from .settings import setting, within

if TYPE_CHECKING:
    from .. import EvaluationResult

_GAZE_HEADINGS = {"angular_error": "degrees", "angular_spread": "spread", "loss": "squared error"}
_FIRST = ("model", "dataset", "top1", "mAP", "published", "difference")
_THEN = ("top5", "loss", "mean_per_class", "ece", "num_images")
_HEADINGS = {
    "parameters": "params",
    "images_per_s": "images/s",
    "latency_ms": "ms/image",
    "kl_to_teacher": "KL",
    "num_images": "images",
    "mean_per_class": "by class",
}
_SPARE = ("macs", "images_per_s", "parameters", "loss", "ece", "top5", "mean_per_class")
"""What a narrow terminal is not shown, the first first."""


@click.command(
    "eval",
    cls=VerbCommand,
    examples=[
        ("kdzoo eval runs/student --on digits", "A run's own student; the result goes into runs/student/results."),
        (
            "kdzoo eval ssld_resnet50d resnet50.ram_in1k --on imagenet,imagenet-real,imagenetv2",
            "Two models in one pass over each data set.",
        ),
        (
            "kdzoo eval runs/student --teacher runs/teacher --on photos --image-size 224 --image-size 288",
            "Agreement with a teacher, at two sizes.",
        ),
    ],
)
@click.argument("references", nargs=-1, required=True, metavar="REF…")
@setting(
    "--on",
    multiple=True,
    required=True,
    type=DATA,
    metavar="SPEC",
    help="Labelled data. Repeatable; or several, with commas.",
)
@setting(
    "--val-share",
    type=SHARE,
    metavar="FRACTION",
    help="The part that training with it held out.",
)
@setting("--teacher", metavar="REF", help="Measure the agreement with this model too.")
@setting("--batch-size", type=COUNT, metavar="N", default=64, show_default=True, help="Images at once.")
@setting("--workers", type=WORKERS, metavar="N", help="Processes that read images.")
@device_option
@section(
    "Preprocessing, in place of each model's own",
    setting(
        "--image-size",
        type=PIXELS,
        multiple=True,
        metavar="PIXELS",
        help="Side of the crop. Repeatable.",
    ),
    setting("--crop-pct", type=within(CropPct), metavar="FRACTION", help="Crop over resized short side."),
    setting(
        "--interpolation",
        type=click.Choice(["bilinear", "bicubic", "opencv-bilinear"]),
        metavar="FILTER",
        help="bilinear, bicubic or opencv-bilinear.",
    ),
    setting(
        "--crops",
        type=click.Choice(["1", "5", "10"]),
        default="1",
        metavar="N",
        show_default=True,
        help="1, 5 or 10 (mirrored).",
    ),
    setting("--mean", type=within(Colour), nargs=3, metavar="R G B", help="Of images in [0, 1]."),
    setting("--std", type=within(Deviation), nargs=3, metavar="R G B", help="Of images in [0, 1]."),
)
@section(
    "Results",
    option("--results", metavar="FOLDER", help="Where results go; RUN/results by default."),
    option("--no-save", is_flag=True, help="Write nothing."),
    option("--fresh", is_flag=True, help="Begin anew; else an interrupted pass goes on."),
)
@option("--trust-classes", is_flag=True, help="Unnamed classes have the data's order.")
@option(
    "--classes",
    metavar="ORDER|FILE",
    help="The order of unnamed classes: natural (class2 before class10), string, a file of names, or of lines "
    "'data's class, tab, model's class or number'.",
)
@config_option
@format_options
def command(
    references: tuple[str, ...],
    on: tuple[str, ...],
    crops: str,
    no_save: bool,
    form: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure models on labelled data: accuracy, loss, calibration.

    REF is a zoo or timm name, hf-hub:ORG/NAME, local-dir:PATH, a run, or an ONNX file that kdzoo exported.
    """
    from .. import evaluate

    with work():
        measured = evaluate(references, _specs(on), crops=int(crops), save=not no_save, **options)
    if not is_main():
        return
    if measured[0].document.task == "regression":
        _print_gaze(measured, form, as_json=as_json)
        return
    if as_json:
        documents = by_model(measured)
        print_json(documents[0] if len(references) == 1 else {"models": documents})
        return
    rows = [{"model": one.model, **one.to_dict()} for one in measured]
    headings = {**_HEADINGS, "published": _published(measured)}
    print_rows(rows, {name: headings.get(name, name) for name in _columns(rows)}, form, spare=_SPARE)
    if form == "table":
        for note in dict.fromkeys(note for one in measured for note in _notes(one)):
            echo(note, err=True)


def _print_gaze(measured: list[EvaluationResult], form: str, *, as_json: bool) -> None:
    rows = [one.to_dict() for one in measured]
    if as_json:
        print_json({"models": rows})
        return
    columns = ("model", "dataset", "angular_error", "angular_spread", "loss", "num_images")
    print_rows(rows, {name: _GAZE_HEADINGS.get(name, name) for name in columns}, form)


def by_model(measured: list[EvaluationResult]) -> list[dict[str, Any]]:
    """``{"model", "results": [...]}`` for each model, in order."""
    documents: dict[str, dict[str, Any]] = {}
    for one in measured:
        documents.setdefault(one.model, {"model": one.model, "results": []})["results"].append(one.to_dict())
    return list(documents.values())


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """The numbers that these rows have."""
    columns = [name for name in (*_FIRST, *_THEN) if any(row.get(name) is not None for row in rows)]
    if len({row["image_size"] for row in rows}) > 1:
        columns.insert(2, "image_size")
    for name in ("top1_all_classes", "agreement", "kl_to_teacher"):
        if any(name in row for row in rows):
            columns.append(name)
    of_files = ["latency_ms"] if any("latency_ms" in row for row in rows) else []
    return [*columns, "parameters", "macs", "images_per_s", *of_files]


def _published(measured: list[EvaluationResult]) -> str:
    """The heading of the numbers that were there before: a run's own were recorded by it, nobody published them."""
    stated = [one for one in measured if one.document.published]
    return "recorded" if stated and all(one.recorded for one in stated) else "published"


def _notes(one: EvaluationResult) -> list[str]:
    """What a reader of the table should know."""
    notes = []
    published = one.document.details.get("published")
    if published is not None and published["note"]:
        notes.append(f"{one.model} on {one.dataset}: {published['note']}")
    if one.path is not None:
        notes.append(f"kept in {one.path.parent}")
    return notes


def _specs(texts: tuple[str, ...]) -> list[str]:
    """The data specs: comma lists taken apart, unless the whole text is the path of something."""
    specs: list[str] = []
    for text in texts:
        parts = [text] if os.path.exists(text) else [part for part in text.split(",") if part.strip()]
        specs += [part.strip() for part in parts if part.strip() not in specs]
    return specs
