"""``kdzoo transfer TASK`` for detection and for segmentation: what is each one's own."""

from __future__ import annotations

from typing import Any

import click

from .commands import VerbCommand
from .dense_task import DenseVerb, dense_options
from .settings import setting

_DETECTION = DenseVerb(
    kind="detection",
    network="detector",
    option="detector",
    framework="detectron2",
    metric="AP",
    papers_on="coco",
    length="the rate's drops keep their places",
    freeze="first, the stem and the first stage",
    batchnorm="frozen",
)


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo transfer coco --backbone ssld_resnet50d --baseline resnet50d.ra2_in1k --dry-run",
            "The paper's row: settings with their sources, cost, what is missing.",
        ),
        (
            "kdzoo transfer coco --backbone meal_v2_resnet50 --baseline resnet50.tv_in1k --freeze none",
            "MEAL V2's Table 7, all layers fine-tuned.",
        ),
        (
            "kdzoo transfer coco:PATH --backbone runs/student --detector faster_rcnn --epochs 20 --lr 0.005",
            "Your own data in COCO's format.",
        ),
        ("torchrun --nproc-per-node 8 -m kdzoo transfer coco --backbone ssld_resnet50d", "Several processes."),
    ],
)
@dense_options(
    _DETECTION,
    setting(
        "--detector",
        type=click.Choice(["retinanet", "faster_rcnn"]),
        default="retinanet",
        show_default=True,
        help="Both with a feature pyramid.",
    ),
    setting(
        "--engine",
        type=click.Choice(["auto", "torchvision", "detectron2"]),
        default="auto",
        show_default=True,
        help="Whose heads and losses; auto is detectron2 where it can be imported.",
    ),
    setting(
        "--schedule",
        type=click.Choice(["1x", "3x"]),
        default="1x",
        show_default=True,
        help="detectron2's.",
    ),
    setting(
        "--lr-multipliers",
        metavar="ssld|LIST",
        help="Rates of the backbone's stages, stem first: 0.05,0.05,0.1,0.1,0.15.",
    ),
)
def detection(ctx: click.Context, **options: Any) -> None:
    """Train a detector over a backbone, beside its baseline, and measure COCO's average precision.

    TASK is coco or voc2007-detection, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or for any data in
    COCO's format (annotations/instances_train.json, train/, and the same for val).

    On a GPU kernels are native; --set deterministic=true gives the same bytes after --resume, at a price in time and
    memory that --dry-run measures there.
    """
    _DETECTION.run(ctx, options)


_SEGMENTATION = DenseVerb(
    kind="segmentation",
    network="segmentor",
    option="head",
    framework="mmsegmentation",
    metric="mIoU",
    papers_on="cityscapes",
    length="the rate falls within it",
    freeze="none",
    batchnorm="train",
)


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
    _SEGMENTATION,
    setting(
        "--head",
        type=click.Choice(["fcn", "deeplabv3plus", "ocrnet"]),
        default="fcn",
        show_default=True,
        help="On the backbone's maps; ocrnet is mmsegmentation's only.",
    ),
    setting(
        "--engine",
        type=click.Choice(["auto", "torchvision", "mmseg"]),
        default="auto",
        show_default=True,
        help="Whose heads; auto is mmsegmentation where it can be imported.",
    ),
    setting(
        "--schedule",
        type=click.Choice(["20k", "40k", "80k", "160k", "320k"]),
        help="mmsegmentation's, by iterations.  [default: the data set's own]",
    ),
    setting("--crop", metavar="HxW", help="Of training views, and of the windows of a sliding test."),
    setting(
        "--class-weights",
        metavar="none|cityscapes|LIST",
        help="Of the loss; a number a class, or published.",
    ),
    setting(
        "--test",
        type=click.Choice(["whole", "slide"]),
        help="Whole images, or overlapping windows of the crop's size.  [default: whole]",
    ),
)
def segmentation(ctx: click.Context, **options: Any) -> None:
    """Train a segmentor over a backbone, beside its baseline, and measure the mean intersection over union.

    TASK is cityscapes, voc2012 or ade20k, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or masks:PATH
    for images/{train,val} beside masks/{train,val} (PNGs of class ids, 255 ignored; names in classes.txt).

    On a GPU kernels are native; --set deterministic=true gives the same bytes after --resume, at a price in time and
    memory that --dry-run measures there.
    """
    _SEGMENTATION.run(ctx, options)
