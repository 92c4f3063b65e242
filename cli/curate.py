"""``kdzoo curate``."""

from __future__ import annotations

from typing import Any

import click

from ..base.setting_values import Count, Fraction, Keypoints, Workers
from .commands import VerbCommand
from .completion import DATA
from .config_file import config_option
from .listing import json_option
from .output import print_fields, print_json, work
from .settings import setting, within

_WHAT, _COPIES, _RUN = "What", "Near-duplicates", "The run"


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
@setting("--unlabeled", metavar="FOLDER", required=True, section=_WHAT, help="Images without labels, at any depth.")
@setting(
    "--against",
    metavar="SPEC",
    required=True,
    type=DATA,
    section=_WHAT,
    help="Evaluation data; no copy of an image of its validation split stays in.",
)
@setting("--teacher", metavar="REF", required=True, section=_WHAT, help="Gives each image its class and score.")
@setting(
    "--top",
    type=within(Count),
    metavar="K",
    default=4000,
    show_default=True,
    section=_WHAT,
    help="Images kept a class, the highest scores (SSLD §3.3.4).",
)
@setting(
    "--similarity",
    type=within(Fraction),
    metavar="COSINE",
    section=_COPIES,
    help="Least similarity of two images' descriptors for a close comparison.  [default: 0.7, ours]",
)
@setting(
    "--inliers",
    type=within(Keypoints),
    metavar="N",
    section=_COPIES,
    help="SIFT keypoints that must agree with one homography.  [default: 8, ours]",
)
@setting(
    "--correlation",
    type=within(Fraction),
    metavar="R",
    section=_COPIES,
    help="Least correlation of two images laid over one another by SIFT.  [default: 0.8, ours]",
)
@setting("--out", metavar="DIR", required=True, section=_RUN, help="Folder for the manifest, the pairs, their page.")
@setting("--resume", is_flag=True, section=_RUN, help="Go on with the curation in --out, or start it.")
@setting(
    "--batch-size",
    type=within(Count),
    metavar="N",
    default=64,
    show_default=True,
    section=_RUN,
    help="Images that the teacher takes at once.",
)
@setting(
    "--workers",
    type=within(Workers),
    metavar="N",
    section=_RUN,
    help="Processes that read and compare images; no result depends on it.",
)
@setting("--device", metavar="NAME", default="auto", show_default=True, section=_RUN, help="auto, cpu, cuda or cuda:N.")
@config_option(section=_RUN)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Choose unlabeled images to distil on: near-duplicates of the evaluation set out, the best K a class in.

    Every image gets the teacher's class and its probability; the manifest lists the chosen ones. After a kill, --resume
    goes on and ends with the same bytes; with another --top it chooses anew from the stored scores.
    """
    from ..curation import curate

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
