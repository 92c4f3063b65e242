"""How the plan of a recipe with stages is made: what the stages share, and a plan for each."""

from __future__ import annotations

from dataclasses import replace

from ..errors import UsageError
from .plan import Given, Plan, StageStep
from .resolution import Resolution


def resolve_stages(origin: str, given: dict[str, Given], variants: tuple[str, ...]) -> Plan:
    """The plan of a recipe, with one plan a stage where it has stages.

    Raises:
        UsageError: As ``plan.resolve``; a stage starts from one that does not run before it.
    """
    whole = Resolution(origin, given, variants)
    common = whole.plan()
    recipe = whole.base
    wanted = [stage for stage in recipe.stages if not stage.only_with or set(stage.only_with) & set(variants)]
    folders: dict[str, str] = {}
    plans: list[Plan] = []
    for number, stage in enumerate(wanted, start=1):
        if stage.start is not None and stage.start not in folders:
            raise UsageError(
                f"stages out of order: {stage.name} starts from {stage.start}, which does not run before it",
                hint=f"the stages of {recipe.name} are {', '.join(stage.name for stage in wanted)}",
            )
        before = None if stage.start is None else folders[stage.start]
        step = StageStep(name=stage.name, why=stage.why, number=number, start=stage.start, start_folder=before)
        found = Resolution(origin, given, variants, stage=stage, common=common).plan()
        said = {*common.notes, *common.warnings}
        plans.append(
            replace(
                found,
                recipe=replace(found.recipe, stages=()),
                stage=step,
                notes=tuple(note for note in found.notes if note not in said),
                warnings=tuple(warning for warning in found.warnings if warning not in said),
            )
        )
        folders[stage.name] = step.folder
    return replace(common, stages=tuple(plans))
