"""The recipe of a verb that names none, and a verb's plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..base.errors import UsageError
from ..base.own_code import SUFFIX
from ..base.settings import Given
from ..zoo.references import parse_reference
from .own_data import DISTIL, FINETUNE, FROM_SCRATCH
from .plan import Plan
from .recorded import recorded_run
from .resolution import resolve

Verb = Literal["train", "distill", "label"]
SUPERVISED = "supervised"
_PAPERS_DATA = "imagenet"


def plan_verb(
    verb: Verb,
    recipe: str | None,
    *,
    given: Mapping[str, Given],
    variants: Sequence[str] = (),
    resumed: Path | None = None,
) -> Plan:
    """Settle a verb's run.

    Args:
        verb: The verb.
        recipe: A recipe's name or file; None for the one that a resumed run has, or that fits (`choose_recipe`).
        given: As `resolve`.
        variants: As `resolve`.
        resumed: The folder of a run that goes on: what nobody gives stays as it began.

    Raises:
        KdzooError: As `resolve`.
    """
    recorded = None if resumed is None else recorded_run(resumed)
    why = ""
    if recipe is None:
        recipe, why = choose_recipe(verb, given, variants)
        if recorded is not None and recorded.recipe.lower().endswith(SUFFIX):
            raise UsageError(
                f"the run in {resumed} has the recipe {recorded.recipe}, Python that is run where you name it only",
                hint=f"if you know the file: --recipe {recorded.recipe}",
            )
        if recorded is not None and recorded.recipe != recipe:  # what it was chosen by is another today
            recipe, why = recorded.recipe, f"as the run in {resumed} began"
    plan = resolve(recipe, given=given, variants=variants, recorded=recorded)
    return replace(plan, notes=(f"recipe {recipe}: {why}", *plan.notes)) if why else plan


def choose_recipe(verb: Verb, given: Mapping[str, Given], variants: Sequence[str] = ()) -> tuple[str, str]:
    """The recipe where none is named, and why.

    Args:
        verb: The verb.
        given: As `resolve`.
        variants: As `resolve`.

    Raises:
        ModelError: The model names nothing.
    """
    if verb != "train":
        return DISTIL, "our default for teachers; --recipe names another"
    data = str(given["data.dataset"].value) if "data.dataset" in given else _PAPERS_DATA
    if variants:
        return SUPERVISED, f"variant {variants[0]} is one of its own"
    if data.partition(":")[0] == _PAPERS_DATA:
        return SUPERVISED, f"the data is {_PAPERS_DATA}; --recipe {FINETUNE} and {FROM_SCRATCH} are ours"
    model = str(given["student.model"].value) if "student.model" in given else ""
    init = str(given["student.init"].value) if "student.init" in given else None
    if init is None and model:
        reference = parse_reference(model)
        init = "pretrained" if reference.names_weights or reference.tag else "random"
    if init == "pretrained":
        return FINETUNE, f"{model} has weights; without them: --set student.init=random"
    return FROM_SCRATCH, f"{model} starts from random weights"
