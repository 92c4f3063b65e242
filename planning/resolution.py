"""Resolving: from a recipe's name and what the user gave to a plan, with one plan a stage where there are stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..base.errors import UsageError
from ..base.settings import Given
from .plan import Plan, StageStep
from .plan_builder import PlanBuilder
from .recorded import Recorded


def resolve(
    recipe: str,
    *,
    given: Mapping[str, Given] | None = None,
    variants: Sequence[str] = (),
    recorded: Recorded | None = None,
) -> Plan:
    """Settle a run; see ``planning.plan`` for an example.

    Args:
        recipe: A recipe's name or the path of a recipe file.
        given: ``{dotted setting: what the user gave}``.
        variants: Names of the recipe's variants, applied in order.
        recorded: What a run that goes on had when it began.

    Raises:
        UsageError: An unknown recipe, variant or setting, a value of the wrong type; a stage that starts from one that
            does not run before it.
        ModelError: A reference that names nothing. (Missing data is no error here; see ``Plan.facts``.)
        DataError: Stored labels that are not there.
    """
    chosen, named = dict(given or {}), tuple(variants)
    whole = PlanBuilder(recipe, chosen, named, recorded=recorded)
    common = whole.plan()
    base = whole.base
    wanted = [stage for stage in base.stages if not stage.only_with or set(stage.only_with) & set(named)]
    folders: dict[str, str] = {}
    plans: list[Plan] = []
    for number, stage in enumerate(wanted, start=1):
        if stage.start is not None and stage.start not in folders:
            raise UsageError(
                f"stages out of order: {stage.name} starts from {stage.start}, which does not run before it",
                hint=f"the stages of {base.name} are {', '.join(stage.name for stage in wanted)}",
            )
        before = None if stage.start is None else folders[stage.start]
        step = StageStep(name=stage.name, why=stage.why, number=number, start=stage.start, start_folder=before)
        before_now = None if recorded is None else recorded.of_stage(stage.name)
        found = PlanBuilder(recipe, chosen, named, stage=stage, common=common, recorded=before_now).plan()
        said = {*common.notes, *common.warnings, *common.adapted}
        plans.append(
            replace(
                found,
                recipe=replace(found.recipe, stages=()),
                stage=step,
                notes=tuple(note for note in found.notes if note not in said),
                warnings=tuple(warning for warning in found.warnings if warning not in said),
                adapted=tuple(line for line in found.adapted if line not in said),
            )
        )
        folders[stage.name] = step.folder
    return replace(common, stages=tuple(plans))
