"""What was scaled down, in plain words: everything in which a run differs from the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import small
from .jobs import Job, architecture

if TYPE_CHECKING:
    from ..planning import Plan
    from .choices import Choices
    from .tables import RecipeRun


def scaled_down(run: RecipeRun, job: Job, choices: Choices) -> tuple[str, ...]:
    """The differences between a row's run and the paper's, a few words each.

    Args:
        run: What the row takes in the table.
        job: Its run here.
        choices: What was asked for.
    """
    plan, paper = job.plan(None), _published(run)
    lines = [*_data(plan, paper), *_lengths(plan, paper), *_networks(run, job, choices)]
    if run.unlabeled and choices.unlabeled is None:
        lines.append("no unlabeled images")
    if choices.scale == "small":
        if plan.image_size != paper.image_size:
            lines.append(f"{plan.image_size} px for {paper.image_size}")
        lines.append(f"batches of {plan.recipe.training.batch_size} for {paper.recipe.training.batch_size}")
        lines.append(f"learning rate {plan.recipe.optimizer.lr:g} for {paper.recipe.optimizer.lr:g}")
        lines.append("crops padded by 4 px, no other augmentation but the row's own")
        lines.extend(small.words(run.recipe))
    return tuple(lines)


def _published(run: RecipeRun) -> Plan:
    """The plan of the run as the paper has it."""
    from ..base.settings import Given
    from ..planning.resolution import resolve

    settings = {**run.settings, "student.model": run.student.model}
    if run.teachers:
        settings["teachers.models"] = tuple(one.model for one in run.teachers for _ in range(one.copies))
    given = {path: Given(value, "table") for path, value in settings.items()}
    return resolve(run.recipe, given=given, variants=run.variants)


def _data(plan: Plan, paper: Plan) -> list[str]:
    ours, theirs = plan.recipe.data.dataset, paper.recipe.data.dataset
    if ours.partition(":")[0] == theirs:
        return []
    facts = plan.facts
    images = "" if facts.num_images is None else f" ({facts.num_images:,} images, {facts.num_classes} classes)"
    return [f"{ours}{images} for {theirs}"]


def _lengths(plan: Plan, paper: Plan) -> list[str]:
    if not plan.stages:
        ours, theirs = plan.recipe.training.epochs, paper.recipe.training.epochs
        return [] if ours == theirs else [_epochs(ours, theirs)]
    pairs = [
        (one.stage.name, one.recipe.training.epochs, other.recipe.training.epochs)
        for one, other in zip(plan.stages, paper.stages, strict=True)
        if one.stage is not None
    ]
    changed = [f"{_epochs(ours, theirs)} ({name})" for name, ours, theirs in pairs if ours != theirs]
    return [", ".join(changed)] if changed else []


def _epochs(ours: int, theirs: int) -> str:
    return f"{ours} epoch{'s' if ours > 1 else ''} for {theirs}"


def _networks(run: RecipeRun, job: Job, choices: Choices) -> list[str]:
    lines = []
    student = architecture(job)
    if student != run.student.model:
        begun = ", trained on labels first" if isinstance(job.student, Job) and run.student.trained is None else ""
        lines.append(f"student {student}{begun}, for {run.student.model}")
    if choices.scale == "small" and run.teachers:
        ours = ", ".join(architecture(one) if isinstance(one, Job) else one for one in job.teachers)
        theirs = ", ".join(f"{one.copies} × {one.model}" if one.copies > 1 else one.model for one in run.teachers)
        lines.append(f"teachers {ours}, for {theirs}")
    return lines
