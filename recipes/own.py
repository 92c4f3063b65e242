"""A loss of the user's own, and the recipe that it makes of one of kdzoo's; docs/extending.md shows both."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import field, fields, make_dataclass, replace
from typing import Any, get_type_hints

from torch import nn

from ..base.errors import UsageError
from ..base.own_code import OwnCode
from ..base.setting_values import check_value
from ..engine.objective import Objective
from .recipe import ObjectiveSettings, Recipe, Shapes, TaughtSettings, TeacherReads
from .registry import get_recipe, recipe_names
from .rows import SettingRow, from_rows

_HINTS = "features"
_SHAPES = "shapes"
"""The constructor's argument that is no setting: it gets the `Shapes` of networks and data."""


class Loss(Objective):
    """Base of a loss of your own. The arguments of its constructor are its settings, as ``objective.NAME``.

    What it must have is ``terms(self, phase, step)``: the terms of one step by name, tensors of one number each, whose
    sum is minimised; ``step`` is a `StepView`. Modules and buffers that it holds are saved and resumed with the run;
    parameters that are to be trained belong into a group of ``phases``.

    Attributes:
        uses_teachers: Whether it asks teachers.
        uses_labels: Whether it reads labels; images without are refused where it does.
        reads_features: Whether it reads the teachers' pooled features, which ``kdzoo label`` then stores too.
    """

    uses_teachers: bool = True
    uses_labels: bool = True
    reads_features: bool = False


def own_recipe(
    name: str,
    summary: str,
    loss: type[Loss] | type[ObjectiveSettings],
    settings: Iterable[SettingRow] = (),
    *,
    base: str = "",
) -> Recipe:
    """A recipe of your own: a loss in the place of another recipe's.

    Args:
        name: What the run calls it.
        summary: What it does, a sentence.
        loss: A `Loss`, or the settings class of an objective, as kdzoo's own recipes have one.
        settings: Rows of (setting, value, where it is from: ``"ours: reason"``) that differ from the base.
        base: The recipe of kdzoo's that all else is taken from: by default ``function_matching``, and ``from_scratch``
            for a loss without teachers. What follows the data there does so here, where no row says otherwise.

    Raises:
        UsageError: The loss cannot be called as it must be, or the name or the base will not do.
        ValueError: A row has no citation, or no such setting exists.
    """
    if not name or name in recipe_names():
        raise UsageError(f"a recipe of your own cannot be called {name!r}", hint="take a name that is not kdzoo's")
    kind = loss if isinstance(loss, type) and issubclass(loss, ObjectiveSettings) else _settings_of(loss)
    alone = getattr(kind, "uses_teachers", True) is False
    parent = get_recipe(base or ("from_scratch" if alone else "function_matching"))
    sections = tuple(f"{section}." for section in Recipe.SETTINGS if section != "objective")
    defaults = [
        (f"objective.{one.name}", one.default, f"ours: the default of {loss.__name__}")
        for one in fields(kind)
        if kind is not loss and one.name != _HINTS
    ]
    recipe = from_rows(
        name=name,
        summary=summary,
        paper=parent.paper,
        reproduces=(f"no table: your own recipe, made of {parent.name}",),
        objective=kind,
        settings=(*(row for row in parent.cited if row.path.startswith(sections)), *defaults, *settings),
        ours=True,
    )
    return replace(recipe, base=parent.name)


def own_settings(recipe: Recipe) -> frozenset[str]:
    """The settings that a recipe of the user's own says itself, and not its base; none of a recipe without a base."""
    if not recipe.base:
        return frozenset()
    theirs = get_recipe(recipe.base).cited
    return frozenset(row.path for row in recipe.cited if row not in theirs)


def recipe_in(code: OwnCode) -> Recipe:
    """The recipe that a module defines under the name ``RECIPE``.

    Raises:
        UsageError: It defines none, or one by the name of a recipe of kdzoo's.
    """
    names = list({id(value): name for name, value in vars(code.module).items() if isinstance(value, Recipe)}.values())
    found = getattr(code.module, "RECIPE", None)
    if not isinstance(found, Recipe):
        what = f"has the recipes {', '.join(names)} and none called RECIPE" if names else "defines no recipe"
        raise UsageError(
            f"{code.name} {what}",
            hint="end it with RECIPE = kdzoo.own_recipe(NAME, SUMMARY, LOSS), see docs/extending.md",
        )
    if len(names) > 1:
        raise UsageError(
            f"{code.name} defines {len(names)} recipes: {', '.join(names)}", hint="leave RECIPE alone in it"
        )
    if found.name in recipe_names():
        raise UsageError(f"{code.name} calls its recipe {found.name}, as kdzoo's own", hint="give it another name")
    return replace(found, code=code)


def _settings_of(loss: type[Loss]) -> type[ObjectiveSettings]:
    """The settings of a loss: the arguments of its constructor, with their types and defaults."""
    _check_terms(loss)
    hints, found = get_type_hints(loss.__init__, include_extras=True), []
    own = [] if loss.__init__ is nn.Module.__init__ else list(inspect.signature(loss).parameters.values())
    for one in own:
        if one.name == _SHAPES:
            continue
        if one.name == _HINTS:
            raise UsageError(
                f"{loss.__name__}({_HINTS}): objective.{_HINTS} are the hints of any loss", hint="take another name"
            )
        if one.default is one.empty or one.name not in hints:
            raise UsageError(
                f"{loss.__name__}({one.name}) has no {'default' if one.default is one.empty else 'type'}",
                hint=f"its arguments are the recipe's settings: write {one.name}: float = 1.0",
            )
        check_value(one.default, hints[one.name], f"{loss.__name__}({one.name})")
        found.append((one.name, hints[one.name], field(default=one.default)))
    takes_shapes = any(one.name == _SHAPES for one in own)

    def build(self: ObjectiveSettings, shapes: Shapes) -> Objective:
        values: dict[str, Any] = {name: getattr(self, name) for name, *_ in found}
        return loss(**values, **({_SHAPES: shapes} if takes_shapes else {}))

    live = f"{loss.__name__} reads maps of theirs" if loss.reads_maps else ""
    reads = TeacherReads(features=loss.reads_features, dense=loss.reads_maps == "dense", live=live)
    namespace = {
        "__module__": loss.__module__,
        "uses_teachers": loss.uses_teachers,
        "uses_labels": loss.uses_labels,
        "reads": reads,
        "build": build,
    }
    bases = (TaughtSettings if loss.uses_teachers else ObjectiveSettings,)
    made: type[ObjectiveSettings] = make_dataclass(
        f"{loss.__name__}Settings", found, bases=bases, namespace=namespace, frozen=True, kw_only=True
    )
    return made


def _check_terms(loss: type[Loss]) -> None:
    """Refuse what is no loss, or one whose ``terms`` cannot be called."""
    if not (isinstance(loss, type) and issubclass(loss, Loss)):
        raise UsageError(f"{getattr(loss, '__name__', loss)} is no loss", hint="write class NAME(kdzoo.Loss)")
    try:
        inspect.signature(loss.terms).bind(None, "student", None)
    except TypeError as error:
        raise UsageError(
            f"{loss.__name__}.terms cannot be called as terms(phase, step): {error}",
            hint="write def terms(self, phase, step)",
        ) from None
    if loss.terms is Objective.terms:
        raise UsageError(f"{loss.__name__} has no terms", hint="write def terms(self, phase, step)")
