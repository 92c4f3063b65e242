"""``kdzoo distill``."""

from __future__ import annotations

from typing import Any

import click

from .commands import VerbCommand
from .completion import RECIPE
from .options import section
from .run_options import WHAT, run_options, teacher_classes_option, teacher_option
from .settings import setting


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo distill --student resnet18 --teacher runs/teacher --data photos --out runs/student",
            "Our default on your class folders photos/train and photos/val.",
        ),
        (
            "kdzoo distill --recipe meal_v2 --student resnet50 --dry-run",
            "The paper's own run: its settings with their citations, and its cost.",
        ),
        (
            "kdzoo distill --recipe meal_v2 --student cifar_resnet8 --teacher runs/a --teacher runs/b \\\n"
            "--data digits --epochs 5 --out runs/student",
            "Two teachers that 'kdzoo train' made, and a small student.",
        ),
        (
            "kdzoo distill --recipe meal_v2 --student cifar_resnet8 --labels labels --data digits --epochs 5",
            "The same from labels that 'kdzoo label' stored: no teacher is loaded.",
        ),
        ("kdzoo distill --recipe meal_v2 … --out runs/student --resume", "Go on after an interruption."),
    ],
)
@section(
    WHAT,
    setting(
        "--recipe",
        metavar="NAME|FILE",
        type=RECIPE,
        help="A recipe's name, a file made by 'kdzoo recipes copy', or Python of your own, mine.py.  "
        "[default: function_matching]",
    ),
    setting("--student", metavar="REF", help="What to train; the recipe's own by default."),
    teacher_option,
    teacher_classes_option,
    setting(
        "--labels",
        metavar="FOLDER",
        help="Labels that 'kdzoo label' stored for these very images; in place of the teachers.",
    ),
)
@run_options
@click.pass_context
def command(ctx: click.Context, recipe: str | None, **_: Any) -> None:
    """Train a student from teachers, with a recipe.

    REF is a timm name (resnet50.a1_in1k), hf-hub:ORG/NAME, local-dir:PATH, or a run's folder. SPEC is digits, cifar10,
    cifar100, imagenet, NAME:PATH, or a folder of class folders.
    """
    from .start import start

    start(ctx, "distill", recipe)
