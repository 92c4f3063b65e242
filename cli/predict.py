"""``kdzoo predict``."""

from __future__ import annotations

from typing import Any

import click

from ..base.setting_values import Fraction
from .commands import VerbCommand
from .config_file import config_option
from .options import COUNT, PIXELS, WORKERS, device_option
from .output import echo, print_fields, work
from .settings import setting, within


@click.command(
    "predict",
    cls=VerbCommand,
    examples=[
        ("kdzoo predict runs/student photo.jpg holiday/", "A line an image."),
        ("kdzoo predict runs/student holiday --out answers.csv --top-k 1", "A file; run again, it goes on."),
        ("kdzoo predict student.onnx holiday --format jsonl", "From an exported file, for another program."),
        ("kdzoo predict resnet50.a1_in1k holiday --embeddings --out holiday.parquet", "For a search or a map."),
        ("kdzoo predict runs/coco streets --out boxes.csv --drawn shown", "A detector's boxes, and pictures of them."),
        ("kdzoo predict runs/city streets --out masks", "A segmentor's masks: a PNG an image."),
    ],
)
@click.argument("reference", metavar="REF")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@setting("--out", metavar="FILE", help="Ends in .csv, .jsonl or .parquet, or a folder for masks; gone on with.")
@setting("--top-k", type=COUNT, metavar="K", help="Classes an image, likeliest first.  [default: 5]")
@setting("--embeddings", is_flag=True, default=None, help="Also the features before the classifier.")
@setting("--image-size", type=PIXELS, metavar="PIXELS", help="Side of the crop, in place of the model's own.")
@setting("--batch-size", type=COUNT, metavar="N", help="Images at once, for a classifier.  [default: 64]")
@setting(
    "--score-threshold", type=within(Fraction), metavar="SCORE", help="Least score of a box, probability of a class."
)
@setting("--drawn", metavar="FOLDER", help="Also pictures, with boxes and names or the masks' colours; needs --out.")
@setting("--drawn-images", type=COUNT, metavar="N", help="Of the first so many images.  [default: 20]")
@setting("--workers", type=WORKERS, metavar="N", help="Processes that read images.")
@device_option
@setting(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="On stdout, without --out.",
)
@config_option
def command(reference: str, paths: tuple[str, ...], out: str | None, form: str, **how: Any) -> None:
    """Name the likeliest classes, or find boxes or masks, in images without labels.

    PATH is an image, or a folder of images at any depth; PATH@exif=apply turns them upright. An image that cannot be
    read is a line that says why. Each image is seen as kdzoo eval, or the run's own evaluation, shows it. REF is a run
    (of a detector or a segmentor, too), a pulled or published model, a timm name, or an ONNX file that kdzoo exported.
    """
    import json

    from .. import UsageError, predict, predict_to_file

    given = {name: value for name, value in how.items() if value is not None}
    if "drawn_images" in given and "drawn" not in given:
        raise UsageError("--drawn-images has no meaning without --drawn", hint="add --drawn FOLDER")
    if out is not None:
        with work():
            made = predict_to_file(reference, paths, out, **given)
        unreadable = f", {made.num_unreadable:,} of them unreadable" if made.num_unreadable else ""
        print_fields({"file": made.path, "images": f"{made.num_images:,}{unreadable}"})
        return
    if "drawn" in given:
        raise UsageError("pictures are drawn beside a file of the answers", hint="add --out")
    answers = predict(reference, paths, **given)
    while True:
        with work():
            answer = next(answers, None)
        if answer is None:
            return
        line = f"{answer.path}  {answer.summary()}"
        echo(line if form == "text" else json.dumps(answer.to_dict(), ensure_ascii=False))
