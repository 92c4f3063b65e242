"""``kdzoo predict``."""

from __future__ import annotations

from typing import Any

import click

from .commands import VerbCommand
from .config_file import config_option
from .options import COUNT, PIXELS, WORKERS, device_option
from .output import echo, print_fields, work
from .settings import setting


@click.command(
    "predict",
    cls=VerbCommand,
    examples=[
        ("kdzoo predict runs/student photo.jpg holiday/", "A line an image."),
        ("kdzoo predict runs/student holiday --out answers.csv --top-k 1", "A file; run again, it goes on."),
        ("kdzoo predict student.onnx holiday --format jsonl", "From an exported file, for another program."),
        ("kdzoo predict resnet50.a1_in1k holiday --embeddings --out holiday.parquet", "For a search or a map."),
    ],
)
@click.argument("reference", metavar="REF")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@setting("--out", metavar="FILE", help="Ends in .csv, .jsonl or .parquet; an interrupted one is gone on with.")
@setting("--top-k", type=COUNT, default=5, show_default=True, metavar="K", help="Classes an image, likeliest first.")
@setting("--embeddings", is_flag=True, help="Also the features before the classifier.")
@setting("--image-size", type=PIXELS, metavar="PIXELS", help="Side of the crop, in place of the model's own.")
@setting("--batch-size", type=COUNT, default=64, show_default=True, metavar="N", help="Images at once.")
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
    """Name the likeliest classes of images without labels.

    PATH is an image, or a folder of images at any depth; PATH@exif=apply turns them upright. An image that cannot be
    read is a line that says why. A classifier sees an image as kdzoo eval shows it. REF is a run, a pulled or published
    model, a timm name, or an ONNX file that kdzoo exported.
    """
    import json

    from .. import predict, predict_to_file

    if out is not None:
        with work():
            made = predict_to_file(reference, paths, out, **how)
        unreadable = f", {made.num_unreadable:,} of them unreadable" if made.num_unreadable else ""
        print_fields({"file": made.path, "images": f"{made.num_images:,}{unreadable}"})
        return
    answers = predict(reference, paths, **how)
    while True:
        with work():
            answer = next(answers, None)
        if answer is None:
            return
        shares = zip(answer.classes, answer.probabilities, strict=True)
        said = answer.error or ", ".join(f"{name} {share:.3f}" for name, share in shares)
        echo(f"{answer.path}  {said}" if form == "text" else json.dumps(answer.to_dict(), ensure_ascii=False))
