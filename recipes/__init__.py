"""Recipes: one file a paper, its settings beside their citations; plans and runs made from them.

Names are imported when they are first used, so that listing the recipes needs no torch. A plan is carried out by
``kdzoo.recipes.run.run``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .citations import citations
    from .cost import Cost, estimate
    from .description import describe_recipe
    from .overrides import flatten, override
    from .plan import Given, Plan, RunSettings, parse_set, resolve
    from .recipe import ObjectiveSettings, Recipe, Shapes, StudentRow, Variant
    from .recipe_file import export_recipe, load_recipe
    from .registry import Listing, get_recipe, list_recipes, recipe_names

_HOMES = {
    "Cost": "cost",
    "Given": "plan",
    "Listing": "registry",
    "ObjectiveSettings": "recipe",
    "Plan": "plan",
    "Recipe": "recipe",
    "RunSettings": "plan",
    "Shapes": "recipe",
    "StudentRow": "recipe",
    "Variant": "recipe",
    "citations": "citations",
    "describe_recipe": "description",
    "estimate": "cost",
    "export_recipe": "recipe_file",
    "flatten": "overrides",
    "get_recipe": "registry",
    "list_recipes": "registry",
    "load_recipe": "recipe_file",
    "override": "overrides",
    "parse_set": "plan",
    "recipe_names": "registry",
    "resolve": "plan",
}

__all__ = [
    "Cost",
    "Given",
    "Listing",
    "ObjectiveSettings",
    "Plan",
    "Recipe",
    "RunSettings",
    "Shapes",
    "StudentRow",
    "Variant",
    "citations",
    "describe_recipe",
    "estimate",
    "export_recipe",
    "flatten",
    "get_recipe",
    "list_recipes",
    "load_recipe",
    "override",
    "parse_set",
    "recipe_names",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
