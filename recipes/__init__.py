"""Recipes: one file a paper, its settings beside their citations.

Names are imported when they are first used, so that listing the recipes needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .citations import citations
    from .description import describe_recipe
    from .overrides import override
    from .recipe import ObjectiveSettings, Recipe, Shapes, StudentRow, Variant
    from .recipe_file import export_recipe, load_recipe
    from .registry import RecipeSummary, get_recipe, list_recipes, recipe_names

_HOMES = {
    "RecipeSummary": "registry",
    "ObjectiveSettings": "recipe",
    "Recipe": "recipe",
    "Shapes": "recipe",
    "StudentRow": "recipe",
    "Variant": "recipe",
    "citations": "citations",
    "describe_recipe": "description",
    "export_recipe": "recipe_file",
    "get_recipe": "registry",
    "list_recipes": "registry",
    "load_recipe": "recipe_file",
    "override": "overrides",
    "recipe_names": "registry",
}

__all__ = [
    "ObjectiveSettings",
    "Recipe",
    "RecipeSummary",
    "Shapes",
    "StudentRow",
    "Variant",
    "citations",
    "describe_recipe",
    "export_recipe",
    "get_recipe",
    "list_recipes",
    "load_recipe",
    "override",
    "recipe_names",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
