"""``kdzoo train``."""

from __future__ import annotations

from typing import Any

import click

from .commands import VerbCommand
from .completion import RECIPE
from .options import section
from .run_options import WHAT, run_options
from .settings import setting


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo train --model resnet18 --data photos --out runs/teacher",
            "ImageNet weights, fine-tuned on your class folders photos/train and photos/val.",
        ),
        (
            "kdzoo train --model resnet18 --data imagenet --epochs 90 --out runs/baseline",
            "A ResNet-18 on labels; $KDZOO_DATA/imagenet holds the images.",
        ),
        (
            "kdzoo train --model cifar_resnet20 --data digits --epochs 5 --out runs/teacher",
            "A small teacher on the embedded digits.",
        ),
    ],
)
@section(
    WHAT,
    setting("--model", "student", metavar="REF", required=True, help="What to train: a model reference."),
    setting(
        "--recipe",
        metavar="NAME|FILE",
        type=RECIPE,
        help="A recipe that needs no teachers.  [default: finetune where the model has weights, from_scratch where it "
        "has none; supervised on ImageNet]",
    ),
)
@run_options
@click.pass_context
def command(ctx: click.Context, recipe: str | None, **_: Any) -> None:
    """Train a model on labels: a teacher, or the baseline that a distilled student must beat."""
    from .start import start

    start(ctx, "train", recipe)
