"""Recipes: one file a paper, its settings beside their citations.

Names are imported when they are first used, so that listing the recipes needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy import lazy_names

if TYPE_CHECKING:
    from .description import describe_recipe
    from .overrides import override
    from .recipe import ObjectiveSettings, Recipe, Shapes, StudentRow, TaughtSettings, Variant
    from .recipe_file import export_recipe, load_recipe
    from .registry import RecipeSummary, get_recipe, list_recipes, recipe_names

__getattr__ = lazy_names(
    __name__,
    {
        ".description": "describe_recipe",
        ".overrides": "override",
        ".recipe": "ObjectiveSettings Recipe Shapes StudentRow TaughtSettings Variant",
        ".recipe_file": "export_recipe load_recipe",
        ".registry": "RecipeSummary get_recipe list_recipes recipe_names",
    },
)
