"""Options that every task of ``kdzoo transfer`` has, and how they are read."""

from __future__ import annotations

import click

from ..base.errors import UsageError
from .config_file import config_option
from .options import COUNT, WORKERS, Option, device_option, format_options, option, section, stacked
from .settings import setting

WHAT, HOW = "What", "How"

backbone_options = stacked(
    setting("--backbone", metavar="REF", required=True, help="The model whose features are measured."),
    setting(
        "--baseline",
        metavar="REF",
        help="What it is compared with, on the same images in the same order; 'random' for random weights.",
    ),
)
batch_size_option = setting("--batch-size", type=COUNT, metavar="N", help="Images in a batch, all processes together.")


def seeds_option(default: int) -> Option:
    """``--seeds``; see `parse_seeds`."""
    return setting("--seeds", metavar="N|LIST", help=f"How many, or which: 3, or 0,7.  [default: {default}]")


def measurement_options(holds: str, default: str, *own: Option) -> Option:
    """Where and by what a measurement runs, and how it is shown.

    Args:
        holds: What ``--out`` holds.
        default: Which folder it is by default.
        own: The task's options that stand beside it.
    """
    return stacked(
        section(
            "The measurement",
            setting("--out", metavar="DIR", help=f"Holds {holds}; {default} by default."),
            *own,
            setting("--resume", is_flag=True, help="Go on with what is in --out, or start it."),
            setting("--workers", type=WORKERS, metavar="N", help="Processes that read images."),
            device_option,
            config_option,
        ),
        option(
            "--dry-run", is_flag=True, help="Show settings, their sources, cost and what is missing; start nothing."
        ),
        format_options,
        click.pass_context,
    )


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """``3`` is three seeds, ``0,7`` are these; None where none are given.

    Raises:
        UsageError: It is neither.
    """
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or ("," not in text and not 1 <= numbers[0] <= 100):
        raise UsageError(f"--seeds {text!r} is neither a count nor a list", hint="--seeds 3, or --seeds 0,1,2")
    return tuple(numbers) if "," in text else tuple(range(numbers[0]))
