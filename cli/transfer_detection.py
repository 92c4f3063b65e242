"""``kdzoo transfer TASK`` for detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .commands import VerbCommand
from .settings import setting
from .transfer_dense import DenseVerb, dense_options, frozen_stages, plan_arguments, put_given, run_or_show
from .transfer_options import HOW, WHAT

if TYPE_CHECKING:
    from ..transfer.detection import DetectionPlan

_VERB = DenseVerb(network="detector", option="detector", framework="detectron2", metric="AP", papers_on="coco")


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
    setting(
        "--detector",
        type=click.Choice(["retinanet", "faster_rcnn"]),
        default="retinanet",
        show_default=True,
        section=WHAT,
        help="Both with a feature pyramid.",
    ),
    setting(
        "--engine",
        type=click.Choice(["auto", "torchvision", "detectron2"]),
        default="auto",
        show_default=True,
        section=WHAT,
        help="Whose heads and losses; auto is detectron2 where it can be imported.",
    ),
    setting(
        "--schedule",
        type=click.Choice(["1x", "3x"]),
        default="1x",
        show_default=True,
        section=HOW,
        help="detectron2's.",
    ),
    setting(
        "--lr-multipliers",
        metavar="ssld|LIST",
        section=HOW,
        help="Rates of the backbone's stages, stem first: 0.05,0.05,0.1,0.1,0.15.",
    ),
    length="the rate's drops keep their places",
    freeze="first, the stem and the first stage",
    batchnorm="frozen",
)
def command(ctx: click.Context, **options: Any) -> None:
    """Train a detector over a backbone, beside its baseline, and measure COCO's average precision.

    TASK is coco or voc2007-detection, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or for any data in
    COCO's format (annotations/instances_train.json, train/, and the same for val).
    """
    from ..transfer.detection import estimate, run_plan
    from ..transfer.detection.papers import paper_rows

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


def _plan(ctx: click.Context, options: dict[str, Any]) -> DetectionPlan:
    from ..transfer.dense.settings import parse_assignments
    from ..transfer.detection import DetectionSettings, make_plan

    given = parse_assignments(DetectionSettings, "detection", options["assignments"])
    values = {
        "batch_size": ("batch_size", options["batch_size"]),
        "lr": ("lr", options["lr"]),
        "freeze": ("frozen_stages", frozen_stages(options["freeze"])),
        "batchnorm": ("batchnorm", options["batchnorm"]),
        "lr_multipliers": ("lr_multipliers", _multipliers(options["lr_multipliers"])),
    }
    put_given(ctx, given, values, own=("iterations", "detector"))
    return make_plan(str(ctx.info_name), detector=options["detector"], given=given, **plan_arguments(options))


def _multipliers(text: str | None) -> tuple[float, ...] | None:
    from ..transfer.dense.settings import parse_assignments
    from ..transfer.detection.settings import SSLD_MULTIPLIERS, DetectionSettings

    if text is None or text == "none":
        return None
    if text == "ssld":
        return SSLD_MULTIPLIERS
    parsed: tuple[float, ...]
    parsed, _ = parse_assignments(DetectionSettings, "detection", [f"lr_multipliers={text}"])["lr_multipliers"]
    return parsed


def _data(plan: DetectionPlan) -> str:
    train, val = plan.data
    boxes = int(train.boxes_per_class().sum())
    return (
        f"{len(train):,} training images with {boxes:,} boxes, {len(val):,} evaluation images, "
        f"{plan.num_classes} classes"
    )
