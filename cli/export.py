"""``kdzoo export``."""

from __future__ import annotations

from typing import Literal

import click

from .commands import VerbCommand
from .options import PIXELS, json_option
from .output import print_fields, print_json, work


@click.command(
    "export",
    cls=VerbCommand,
    examples=[
        ("kdzoo export runs/student --format onnx --out student.onnx", "Needs kdzoo[onnx]."),
        ("kdzoo export hf-hub:ORG/NAME --format torch-export --out model.pt2", "For PyTorch, without timm."),
    ],
)
@click.argument("reference", metavar="REF")
@click.option(
    "--format", "form", type=click.Choice(["onnx", "safetensors", "torch-export"]), required=True, help="Of the file."
)
@click.option("--out", required=True, metavar="FILE", help="Ends in .onnx, .safetensors or .pt2.")
@click.option(
    "--image-size",
    type=PIXELS,
    metavar="PIXELS",
    help="Side of its images, in place of the model's own.",
)
@json_option
def command(
    reference: str,
    form: Literal["onnx", "safetensors", "torch-export"],
    out: str,
    image_size: int | None,
    as_json: bool,
) -> None:
    """Write a model as one file for other programs, and check that it computes the same.

    ONNX and torch.export hold the network and take any number of normalised images; safetensors holds the weights by
    timm's names. Where a logit differs by more than 1e-4 of the largest, nothing is written.
    """
    from .. import export_model

    with work():
        made = export_model(reference, form, out, image_size=image_size)
    if as_json:
        print_json(vars(made))
        return
    of = "" if made.largest is None else f" (largest logit {made.largest:.2f})"
    takes = (
        "weights alone" if made.batch == "none" else f"any number of images, 3 x {made.image_size} x {made.image_size}"
    )
    print_fields(
        {
            "file": made.path,
            "size": f"{made.bytes:,} bytes, {made.parameters:,} parameters",
            "takes": takes,
            "checked with": made.checked_with,
            "largest difference": f"{made.max_difference:.2e}{of}",
        }
    )
