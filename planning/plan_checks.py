"""Whether a settled recipe fits its data, and its batch made to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.setting_values import check_values
from ..recipes.recipe import Recipe
from ..zoo.references import parse_reference
from .following import BATCH
from .plan import DataFacts, steps_of
from .sources import refuse_other_task

if TYPE_CHECKING:
    from .plan_builder import PlanBuilder

_FEW_STEPS = 50  # of a whole run
_EVEN = 8
_RATE = "optimizer.lr"


def shrink_batch(builder: PlanBuilder, facts: DataFacts) -> None:
    """A batch that is larger than the data becomes as large as the data; a recipe's own takes its rate along."""
    batch, parts = int(builder.values[BATCH]), int(builder.values["training.accumulate"])
    if facts.num_images is None:
        return
    apart = facts.num_unlabeled if builder.recipe().objective.unlabeled_share is not None else 0
    images = facts.num_images - apart
    if not 0 < images < batch:
        return
    even = parts * _EVEN if images >= parts * _EVEN else parts  # so that processes and parts can share it
    now = max(images - images % even, min(images, parts))
    builder.put(BATCH, now, f"data: {images:,} images, fewer than {batch:,} ({builder.sources[BATCH]})")
    line = f"a batch of {batch:,} became {now:,}: there are {images:,} training images"
    rate = builder.values[_RATE]
    if not {BATCH, _RATE} & builder.all_given.keys():
        builder.put(_RATE, rate * now / batch, f"scaled with the batch from {rate:g} ({builder.sources[_RATE]})")
        line += f"; the learning rate {rate:g} became {builder.values[_RATE]:g}"
    builder.adapted.append(line)


def check_plan(recipe: Recipe, facts: DataFacts, notes: list[str], warnings: list[str]) -> None:
    """Refuse a recipe that cannot run on its data.

    Args:
        recipe: With every setting in its place.
        facts: What is known of its data.
        notes: Gets what the reader should know.
        warnings: Gets what is probably not meant.

    Raises:
        UsageError: A value lies outside its range, or does not go with another one or with the data.
    """
    check_values(recipe)
    training, student = recipe.training, parse_reference(recipe.student.model)
    if recipe.objective.students and student.kind == "timm" and student.architecture not in recipe.objective.students:
        raise UsageError(
            f"{recipe.name} cannot train {student.architecture}: its loss is made for another kind of network",
            hint=f"use {' or '.join(recipe.objective.students)}",
        )
    if facts.missing is None:
        refuse_other_task(recipe, recipe.data.dataset, facts.task)
    steps = steps_of(recipe, facts)
    if steps is not None and steps * training.epochs < _FEW_STEPS:
        total = steps * training.epochs
        warnings.append(
            f"the whole run has only {total} step{'s' if total > 1 else ''} of {training.batch_size} images: "
            "a smaller --batch-size or more --epochs give more"
        )
    _check_teacher_view(recipe)
    if training.views_per_decode > training.batch_size:
        raise UsageError(
            f"a batch of {training.batch_size} cannot hold {training.views_per_decode:,} views of an image",
            hint="--set training.views_per_decode=4, and batches of 64 or more",
        )
    if training.views_per_decode > 1 and recipe.objective.reads.memory:
        raise UsageError(
            f"{recipe.name} remembers an image until it comes again: a batch must hold each image once",
            hint="--set training.views_per_decode=1",
        )
    flips = recipe.data.augmentation.hflip_prob
    if recipe.objective.task == "regression" and recipe.objective.uses_labels and flips > 0:
        raise UsageError(
            f"data.augmentation.hflip_prob is {flips:g}: a mirrored eye looks the other way, its target does not",
            hint="--set data.augmentation.hflip_prob=0",
        )
    if recipe.objective.needs_trained_student and recipe.student.init == "random":
        warnings.append(
            f"{recipe.name} keeps the student's BatchNorm as it is: from random weights it goes astray; name a "
            "trained student (a run folder, or an architecture with its tag)"
        )
    if recipe.data.unlabeled is not None and recipe.objective.uses_labels:
        raise UsageError(
            f"{recipe.name} reads labels, {recipe.data.unlabeled} has none",
            hint="leave --unlabeled out, or use a recipe without labels, such as meal_v2",
        )
    late = [epoch for epoch in recipe.schedule.milestones if epoch >= training.epochs]
    if "milestones" in recipe.schedule.name and late:
        notes.append(f"the milestones {late} lie after the last of {training.epochs} epochs")


def _check_teacher_view(recipe: Recipe) -> None:
    """Refuse a view of the teachers' own where their images exist at the student's size alone.

    Raises:
        UsageError: The loss makes the images, or they are no square photographs.
    """
    view, reads, size = recipe.teachers.view, recipe.objective.reads, recipe.data.augmentation.size
    why = reads.live if reads.made_images else None
    if recipe.objective.task == "regression" or size[0] != size[1]:
        why = f"its images are cut to {size[0]}×{size[1]} px for every network"
    if view != "student" and why is not None:
        raise UsageError(
            f"teachers.view={view}: {recipe.name} shows its teachers what the student sees: {why}",
            hint="leave teachers.view out",
        )
