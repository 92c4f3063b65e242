"""``kdzoo transfer TASK`` for segmentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import UsageError
from .commands import VerbCommand
from .settings import setting
from .transfer_dense import DenseVerb, dense_options, frozen_stages, plan_arguments, put_given, run_or_show
from .transfer_options import HOW, WHAT

if TYPE_CHECKING:
    from ..transfer.segmentation import SegmentationPlan

_VERB = DenseVerb(network="segmentor", option="head", framework="mmsegmentation", metric="mIoU", papers_on="cityscapes")


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo transfer cityscapes --backbone ssld_resnet50d --baseline resnet50d.ra2_in1k --dry-run",
            "The paper's row: settings with their sources, cost, what is missing.",
        ),
        ("kdzoo transfer cityscapes --backbone ssld_hrnet_w18 --head ocrnet", "OCRNet over an HRNet's four branches."),
        (
            "kdzoo transfer masks:PATH --backbone runs/student --epochs 20 --batch-size 4 --lr 0.0025",
            "Your own images/{train,val} and masks/{train,val}.",
        ),
        ("torchrun --nproc-per-node 4 -m kdzoo transfer ade20k --backbone ssld_resnet50d", "Several processes."),
    ],
)
@dense_options(
    setting(
        "--head",
        type=click.Choice(["fcn", "deeplabv3plus", "ocrnet"]),
        default="fcn",
        show_default=True,
        section=WHAT,
        help="On the backbone's maps; ocrnet is mmsegmentation's only.",
    ),
    setting(
        "--engine",
        type=click.Choice(["auto", "torchvision", "mmseg"]),
        default="auto",
        show_default=True,
        section=WHAT,
        help="Whose heads; auto is mmsegmentation where it can be imported.",
    ),
    setting(
        "--schedule",
        type=click.Choice(["20k", "40k", "80k", "160k", "320k"]),
        section=HOW,
        help="mmsegmentation's, by iterations.  [default: the data set's own]",
    ),
    setting("--crop", metavar="HxW", section=HOW, help="Of training views, and of the windows of a sliding test."),
    setting(
        "--class-weights",
        metavar="none|cityscapes|LIST",
        section=HOW,
        help="Of the loss; a number a class, or published.",
    ),
    setting(
        "--test",
        type=click.Choice(["whole", "slide"]),
        section=HOW,
        help="Whole images, or overlapping windows of the crop's size.  [default: whole]",
    ),
    length="the rate falls within it",
    freeze="none",
    batchnorm="train",
)
def command(ctx: click.Context, **options: Any) -> None:
    """Train a segmentor over a backbone, beside its baseline, and measure the mean intersection over union.

    TASK is cityscapes, voc2012 or ade20k, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or masks:PATH
    for images/{train,val} beside masks/{train,val} (PNGs of class ids, 255 ignored; names in classes.txt).
    """
    from ..transfer.segmentation import estimate, run_plan
    from ..transfer.segmentation.papers import paper_rows

    run_or_show(
        ctx,
        _VERB,
        options,
        plan=lambda: _plan(ctx, options),
        run=run_plan,
        estimate=estimate,
        papers=paper_rows,
        data=_data,
    )


def _plan(ctx: click.Context, options: dict[str, Any]) -> SegmentationPlan:
    from ..transfer.dense.settings import parse_assignments
    from ..transfer.segmentation import SegmentationSettings, make_plan
    from ..transfer.segmentation.plan import class_weights

    given = parse_assignments(SegmentationSettings, "segmentation", options["assignments"])
    weights = options["class_weights"]
    values = {
        "batch_size": ("batch_size", options["batch_size"]),
        "lr": ("lr", options["lr"]),
        "crop": ("crop", _crop(options["crop"])),
        "freeze": ("frozen_stages", frozen_stages(options["freeze"])),
        "batchnorm": ("batchnorm", options["batchnorm"]),
        "class_weights": ("class_weights", None if weights is None else class_weights(weights)),
        "test": ("test_mode", options["test"]),
    }
    put_given(ctx, given, values, own=("iterations", "head"))
    return make_plan(str(ctx.info_name), head=options["head"], given=given, **plan_arguments(options))


def _crop(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None:
        raise UsageError(f"--crop {text!r} is no size", hint="height and width: --crop 512x1024")
    return int(found[1]), int(found[2])


def _data(plan: SegmentationPlan) -> str:
    train, val = plan.data
    return f"{len(train):,} training images, {len(val):,} evaluation images, {plan.num_classes} classes"
