"""The small size: tiny networks on small images, for the order of a table's rows in minutes.

What a row is about stays its own: the recipe's loss, mixing, schedule and weight decay, and what the row itself sets.
The rest is the same for all rows, so that they see the same views of the same images in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tables import RecipeRun

LR_SCRATCH = 0.05  # He et al.'s 0.1 at a batch of 128, scaled to 64
LR_TRAINED = 0.01  # what MEAL V2 gives a trained student (§6.1)
BATCH = 64
PIXELS = 32
_COPIES = 2

_VIEWS: dict[str, Any] = {
    "data.augmentation.crop": "pad4",
    "data.augmentation.policy": None,
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "data.augmentation.erase_prob": 0.0,
    "data.evaluation.crop_pct": 1.0,
}
_TINY: dict[str, dict[str, Any]] = {
    "exrep": {"objective.distiller.width": 8, "objective.contrast.num_negatives": 256},
    "crd": {"objective.contrast.num_negatives": 256},
}
"""What a recipe's own modules are made smaller to."""

_WORDS = {
    "exrep": "an input distiller of 8 channels; 256 negatives",
    "crd": "256 negatives",
}


def copies(number: int) -> int:
    """Of networks that are trained alike."""
    return min(number, _COPIES)


def views(spec: str) -> dict[str, Any]:
    """How the images are shown, the same for every row.

    Args:
        spec: Data spec.

    Raises:
        DataError, UsageError: There is no such data.
    """
    from ..data import open_source

    source = open_source(spec, "train")
    open_source(spec, "val")
    found = {**_VIEWS, "data.augmentation.hflip_prob": 0.0 if source.name == "digits" else 0.5}
    own = source.native_size
    found["data.augmentation.image_size"] = own[0] if own is not None and own[0] == own[1] else PIXELS
    return found


def settings(run: RecipeRun, shown: Mapping[str, Any], *, trained: bool) -> dict[str, Any]:
    """A run's settings at the small size, without its length.

    Args:
        run: Of the table.
        shown: From ``views``.
        trained: Whether the student begins with trained weights.
    """
    found: dict[str, Any] = {
        "training.batch_size": BATCH,
        "optimizer.lr": LR_TRAINED if trained else LR_SCRATCH,
        "run.workers": 0,
    }
    if run.recipe != "fixres":  # it is about another size and the evaluation's own crop
        found.update(shown)
    return {**found, **_TINY.get(run.recipe, {})}


def words(recipe: str) -> tuple[str, ...]:
    """What is smaller about a recipe's own modules."""
    return (_WORDS[recipe],) if recipe in _WORDS else ()
