"""Planning's tests run what the recipes' tests run."""

from ..recipes.conftest import small_plan

__all__ = ["small_plan"]
