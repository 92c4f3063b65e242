"""``kdzoo export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from ..base.setting_values import Count, Seed
from .commands import VerbCommand
from .completion import DATA
from .options import PIXELS, json_option
from .output import echo, print_fields, print_json, print_remarks, print_rows, work
from .settings import within

if TYPE_CHECKING:
    from .. import Exported

_MUCH = 1.0  # points of top-1
_COLUMNS = {
    "model": "model",
    "bytes": "bytes",
    "top1": "top1",
    "mAP": "mAP",
    "loss": "loss",
    "difference": "difference",
    "same_answers": "same %",
    "median": "ms/image",
    "quartiles": "quartiles",
}


@click.command(
    "export",
    cls=VerbCommand,
    examples=[
        ("kdzoo export runs/student --format onnx --out student.onnx", "Needs kdzoo[onnx]."),
        (
            "kdzoo export runs/student --format onnx --out student.onnx --data photos --int8",
            "And student-int8.onnx, with a table of both beside the model.",
        ),
        ("kdzoo export hf-hub:ORG/NAME --format torch-export --out model.pt2", "For PyTorch, without timm."),
        ("kdzoo export runs/coco --format detectron2 --out detector", "A folder that detectron2 loads without kdzoo."),
        ("kdzoo export runs/city --format onnx --out city.onnx", "A segmentor, for images of any size."),
    ],
)
@click.argument("reference", metavar="REF")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "safetensors", "torch-export", "detectron2", "mmseg"]),
    required=True,
    help="Of the file; the last two are a detector's and a segmentor's.",
)
@click.option("--out", required=True, metavar="FILE", help="Ends in .onnx, .safetensors or .pt2; else a folder.")
@click.option(
    "--image-size",
    type=PIXELS,
    metavar="PIXELS",
    help="Side of its images, in place of the model's own.",
)
@click.option("--no-fuse", is_flag=True, help="Leave reparametrised blocks (RepVGG, MobileOne, …) as they trained.")
@click.option("--data", type=DATA, metavar="SPEC", help="Check the file on its held-out images, not on random ones.")
@click.option("--int8", is_flag=True, help="Also write NAME-int8.onnx, and measure both on --data.")
@click.option(
    "--calibration-images",
    type=within(Count),
    metavar="N",
    default=512,
    show_default=True,
    help="Training images that settle the int8 ranges.",
)
@click.option("--seed", type=within(Seed), metavar="N", default=0, show_default=True, help="Which images those are.")
@json_option
def command(
    reference: str,
    form: Literal["onnx", "safetensors", "torch-export", "detectron2", "mmseg"],
    out: str,
    no_fuse: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Write a model as one file for other programs, and check that it computes the same.

    ONNX and torch.export hold the network and take any number of normalised images; safetensors holds the weights by
    timm's names. Where a logit differs by more than 1e-4 of the largest, nothing is written.

    REF may be the run of a detector or segmentor: detectron2 and mmseg write a folder with the framework's own weights
    and configuration, which it loads without kdzoo; ONNX and torch.export take a segmentor.
    """
    from .. import export_model

    with work():
        made = export_model(reference, form, out, fuse=not no_fuse, **how)
    if as_json:
        print_json(vars(made))
        return
    _print(made)


def _print(made: Exported) -> None:
    of = "" if made.largest is None else f" (largest logit {made.largest:.2f})"
    count = {"none": "weights alone", "one": "one image at a time"}.get(made.batch, "any number of images")
    size = "of any size" if made.image_size is None else f"3 x {made.image_size} x {made.image_size}"
    fields = {
        "file": made.path,
        "size": f"{made.bytes:,} bytes, {made.parameters:,} parameters",
        "takes": count if made.batch == "none" else f"{count}, {size}",
        "fused": made.fused,
        "checked with": f"{made.checked_with}, {made.checked_on}",
        "largest difference": f"{made.max_difference:.2e}{of}",
    }
    if made.int8 is not None:
        fields |= {"int8 file": made.int8["path"], "calibrated on": made.int8["calibrated_on"]}
    print_fields({name: text for name, text in fields.items() if text})
    if not made.measured:
        return
    echo()
    rows = [{**row, **_shown_latency(row["latency_ms"])} for row in made.measured]
    columns = {name: heading for name, heading in _COLUMNS.items() if any(row.get(name) is not None for row in rows)}
    print_rows(rows, columns, "table", title=f"On {rows[0]['num_images']:,} held-out images:")
    lost = -rows[-1]["difference"]
    print_remarks(("warning", [f"the int8 file is {lost:.1f} points below the model"] if lost > _MUCH else []))


def _shown_latency(latency: dict[str, float] | None) -> dict[str, Any]:
    """In two columns; nothing for the model, which is no file."""
    return {} if latency is None else {**latency, "quartiles": f"{latency['low']:.2f} to {latency['high']:.2f}"}
