"""``kdzoo curate``."""

from __future__ import annotations

from typing import Any

import click

from ..base.setting_values import Fraction, Keypoints
from .commands import VerbCommand
from .completion import DATA
from .config_file import config_option
from .options import COUNT, WORKERS, device_option, json_option, section
from .output import print_fields, print_json, work
from .settings import setting, within


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo curate --unlabeled photos/ --against imagenet --teacher resnet50.a1_in1k --out curated",
            "Needs kdzoo[curation]. Then look at curated/near_duplicates.html.",
        ),
        ("kdzoo curate … --out curated --resume", "Go on after an interruption."),
        (
            "kdzoo distill … --unlabeled curated/manifest.jsonl",
            "Distil on what was chosen.",
        ),
    ],
)
@section(
    "What",
    setting(
        "--unlabeled",
        metavar="FOLDER",
        required=True,
        help="Images without labels, at any depth; FOLDER@exif=apply turns them upright.",
    ),
    setting(
        "--against",
        metavar="SPEC",
        required=True,
        type=DATA,
        help="Evaluation data; no copy of an image of its validation split stays in.",
    ),
    setting("--teacher", metavar="REF", required=True, help="Gives each image its class and score."),
    setting(
        "--top",
        type=COUNT,
        metavar="K",
        default=4000,
        show_default=True,
        help="Images kept a class, the highest scores (SSLD §3.3.4).",
    ),
)
@section(
    "Near-duplicates",
    setting(
        "--similarity",
        type=within(Fraction),
        metavar="COSINE",
        help="Least similarity of two images' descriptors for a close comparison.  [default: 0.7, ours]",
    ),
    setting(
        "--inliers",
        type=within(Keypoints),
        metavar="N",
        help="SIFT keypoints that must agree with one homography.  [default: 8, ours]",
    ),
    setting(
        "--correlation",
        type=within(Fraction),
        metavar="R",
        help="Least correlation of two images laid over one another by SIFT.  [default: 0.8, ours]",
    ),
)
@section(
    "The run",
    setting("--out", metavar="DIR", required=True, help="Folder for the manifest, the pairs, their page."),
    setting("--resume", is_flag=True, help="Go on with the curation in --out, or start it."),
    setting(
        "--batch-size",
        type=COUNT,
        metavar="N",
        default=64,
        show_default=True,
        help="Images that the teacher takes at once.",
    ),
    setting(
        "--workers",
        type=WORKERS,
        metavar="N",
        help="Processes that read and compare images; no result depends on it.",
    ),
    device_option,
    config_option,
)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Choose unlabeled images to distil on: near-duplicates of the evaluation set out, the best K a class in.

    Every image gets the teacher's class and its probability; the manifest lists the chosen ones. After a kill, --resume
    goes on and ends with the same bytes; with another --top it chooses anew from the stored scores.
    """
    from .. import curate

    with work():
        result = curate(**options)
    if as_json:
        print_json(result.to_dict())
        return
    counts = result.class_counts.values()
    print_fields(
        {
            "images": f"{result.num_images:,}",
            "unreadable": f"{result.num_unreadable:,}",
            "near-duplicates": f"{result.num_duplicates:,} left out (near_duplicates.html shows them)",
            "chosen": f"{result.num_chosen:,}, {min(counts):,} to {max(counts):,} a class",
            "manifest": result.manifest,
        }
    )
