"""What keeps a plan from starting, a line each: its data, its weights, its teachers, its folder, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..base.errors import KdzooError
from ..engine.run_folder import RunFolder
from ..zoo import LoadedModel, load_model, parse_reference
from ..zoo.cached import cached_weights
from .batch_parts import too_large
from .cost import Cost
from .models import teachers_of
from .plan import Plan
from .run_teachers import match_teachers
from .sources import open_sources


def obstacles(plan: Plan, costs: Sequence[Cost], out: str, *, resume: bool) -> list[str]:
    """The reasons why a run could not start, none where it could.

    Teachers are looked at by their classes; how well they answer is measured when the run starts.

    Args:
        plan: The run's, or that of its recipe's stages together.
        costs: Of the plan, or of each stage.
        out: The run's folder.
        resume: Whether a run there would go on.
    """
    found = [text for cost in costs for text in cost.missing]
    for one, cost in zip(plan.stages or (plan,), costs, strict=True):
        if cost.memory is not None and not cost.memory.fits:
            found.append(shown(too_large(one, cost.memory)))
        found += fitting(one)
        folder = Path(out).expanduser() / (one.stage.folder if one.stage else "")
        if not resume and RunFolder(folder).has_progress():
            found.append(f"{folder} already holds a run (--resume goes on with it; --out starts another)")
    return list(dict.fromkeys(found))


def fitting(plan: Plan) -> list[str]:
    """What does not fit together of a plan's images and teachers, where both are here."""
    if plan.facts.missing:
        return []
    try:
        sources = open_sources(plan.recipe)
        classes = len(sources.class_names)
        members = [] if plan.labels is not None or not classes else _named_teachers(plan, classes)
        if members:
            match_teachers(members, sources, plan.run.teacher_classes)
    except KdzooError as error:
        return [shown(error)]
    return []


def _named_teachers(plan: Plan, num_classes: int) -> list[LoadedModel]:
    """The teachers with the names of their classes where they have other ones; none where a file is not here yet."""
    if any(cached_weights(parse_reference(reference)) is None for reference in plan.teachers):
        return []
    members = teachers_of(plan, weights=False)
    return [
        one if one.num_classes == num_classes or one.class_names else load_model(reference, pretrained=True)
        for one, reference in zip(members, plan.teachers, strict=True)
    ]


def shown(error: KdzooError) -> str:
    """An error in one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message
