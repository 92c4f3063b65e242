"""What keeps a plan from starting, a line each: its data, its weights, its teachers, its folder, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..base.errors import KdzooError
from ..engine.run_folder import RunFolder
from .batch_parts import too_large
from .cost import Cost
from .plan import Plan
from .run_teachers import matches_of


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
    try:
        matches_of(plan)
    except KdzooError as error:
        return [shown(error)]
    return []


def shown(error: KdzooError) -> str:
    """An error in one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message
