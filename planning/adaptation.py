"""What of a paper's recipe is adapted to data that is not the paper's; ``run.exact`` keeps the paper's values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..recipes.registry import get_recipe
from .facts import KNOWN_CLASSES, KNOWN_IMAGES, SMALL_SIDE
from .following import BATCH, CROP, EPOCHS, SIZE
from .own_data import DISTIL, FINETUNE, FROM_SCRATCH, Subject, shrunk
from .plan import DataFacts
from .starting_weights import OwnInput

if TYPE_CHECKING:
    from .plan_builder import PlanBuilder

DATASET, LR, WARMUP = "data.dataset", "optimizer.lr", "schedule.warmup_epochs"

LEAST_STEPS = 10
"""A batch is never more than this part of the images."""

LEAST_BATCH = 2
"""BatchNorm needs more than one image."""

WARMUP_SHARE = 0.1
"""The warm-up's share of a run at most."""


def is_other_data(builder: PlanBuilder, facts: DataFacts) -> bool:
    """Whether a paper's recipe meets other data than its own: by name, and by the number of images and classes."""
    own = builder.own_dataset
    if DATASET in builder.from_file:
        own = str(get_recipe(builder.follows).data.dataset)
    if str(builder.values[DATASET]).partition(":")[0].partition("@")[0] == own:
        return False
    labelled = None if facts.num_images is None else facts.num_images - facts.num_unlabeled
    return (labelled, facts.num_classes) != (KNOWN_IMAGES.get(own, 0), KNOWN_CLASSES.get(own))


def adapt_length(builder: PlanBuilder, facts: DataFacts) -> None:
    """The epochs that a budget pays for: as many images are seen as our own recipe for such a run sees."""
    budget, common = builder.run.budget, builder.common
    if budget is None or facts.num_images is None:
        return
    if common is not None:
        if EPOCHS not in builder.chosen:
            builder.put(EPOCHS, common.recipe.training.epochs, common.sources[EPOCHS])
        return
    pretrained = builder.starts_from_weights
    ours = DISTIL if builder.base.objective.uses_teachers else FINETUNE if pretrained else FROM_SCRATCH
    own = OwnInput(image_size=0, crop_pct=1.0, interpolation="bilinear")
    subject = Subject(recipe=ours, pretrained=pretrained, facts=facts, dataset="", own=own)
    builder.put(EPOCHS, subject.epochs(budget), f"{builder.given['run.budget'].source} {budget}, as {ours} has it")


def adapt(builder: PlanBuilder, facts: DataFacts, own: OwnInput) -> None:
    """Batch, rate, warm-up, image size and normalisation, where nobody gave them."""
    _adapt_size(builder, facts, own)
    if facts.num_images is not None:
        _adapt_batch(builder, facts.num_images)
    epochs, warmup = builder.values[EPOCHS], builder.values[WARMUP]
    if warmup > WARMUP_SHARE * epochs:
        _adapt(builder, WARMUP, round(WARMUP_SHARE * epochs, 3), f"at most {WARMUP_SHARE:.0%} of {epochs} epochs")
    _adapt_normalisation(builder, own)


def _adapt(builder: PlanBuilder, path: str, value: Any, why: str) -> None:
    before = builder.values[path]
    if builder.follow(path, value, f"adapted, {_short(before)} before: {why}") != before:
        builder.adapted.append(f"{path}: {_short(before)} → {_short(builder.values[path])} ({why})")


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _adapt_size(builder: PlanBuilder, facts: DataFacts, own: OwnInput) -> None:
    """Crops no larger than the images are; small images of one size as they are."""
    size, side = builder.values[SIZE], facts.typical_side
    height, width = facts.native_size or (0, 0)
    if SIZE in builder.chosen or side is None or (own.fixed and builder.starts_from_weights):
        return
    if height == width > 0 and height <= max(SMALL_SIDE, size):
        why = f"every image has {height}×{width} px"
        _adapt(builder, SIZE, height, why)
        if CROP not in builder.chosen:
            _adapt(builder, CROP, 1.0, why)
    elif side < size:
        _adapt(builder, SIZE, shrunk(side), f"the images' short side is about {side} px")


def _adapt_batch(builder: PlanBuilder, num_images: int) -> None:
    """A batch of at most a tenth of the images, and the rate with it, or with the batch that was given."""
    batch, most = int(builder.values[BATCH]), max(LEAST_BATCH, num_images // LEAST_STEPS)
    if batch > most and BATCH not in builder.user_given:
        smaller = 2 ** int(math.log2(most))
        _adapt(builder, BATCH, smaller, f"{num_images:,} images: a batch is at most a tenth of them")
    before, now = builder.before[BATCH], builder.values[BATCH]
    if now != before and LR not in builder.user_given and LR not in builder.all_given:
        linear = builder.values["optimizer.name"] == "sgd"
        factor = now / before if linear else math.sqrt(now / before)
        how = "linear in the batch" if linear else "by the batch's square root, as Adam takes it"
        _adapt(builder, LR, builder.values[LR] * factor, f"{how}, {before} → {now}")


def _adapt_normalisation(builder: PlanBuilder, own: OwnInput) -> None:
    """What a student's weights were trained with in place of what the paper's were."""
    for path, theirs in (("data.mean", own.mean), ("data.std", own.std)):
        if builder.starts_from_weights and builder.values[path] not in ("model", theirs):
            of = f", {_short(theirs)}" if theirs else ""
            _adapt(builder, path, "model", f"the student's weights come with their own{of}")
