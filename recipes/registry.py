"""The recipes by name: every file of this folder that makes a ``RECIPE``.

What ``kdzoo recipes list`` shows stands in ``index.json``, so that listing them imports neither a recipe nor torch.
``python -m kdzoo.recipes.document recipes/index.json`` makes it anew; a recipe that it lacks is imported instead.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.suggestions import unknown

if TYPE_CHECKING:
    from .recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RecipeSummary:
    """A line of ``kdzoo recipes list``.

    Attributes:
        name: What ``--recipe`` calls it.
        title: The paper's.
        year: The paper's.
        summary: What it does.
        students: The students of its table.
        ours: Whether it is kdzoo's own; the paper is then the closest reference.
    """

    name: str
    title: str
    year: int
    summary: str
    students: tuple[str, ...]
    ours: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def list_recipes() -> tuple[RecipeSummary, ...]:
    """Every recipe, a line each."""
    known = _index()
    return tuple(known.get(name) or summarise(get_recipe(name)) for name in recipe_names())


def recipe_names() -> tuple[str, ...]:
    """Every recipe's name, in the index's order; those that it lacks after them."""
    return _names(tuple(sys.modules[__package__].__path__))


def summarise(recipe: Recipe) -> RecipeSummary:
    """A recipe's line."""
    return RecipeSummary(
        name=recipe.name,
        title=recipe.paper.title,
        year=recipe.paper.year,
        summary=recipe.summary,
        students=tuple(row.name for row in recipe.students),
        ours=recipe.ours,
    )


def index_text() -> str:
    """``index.json`` as the recipes have it."""
    lines = (summarise(get_recipe(name)).to_dict() for name in recipe_names())
    return "[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n]\n"


@lru_cache
def _index() -> dict[str, RecipeSummary]:
    lines = json.loads(Path(__file__).with_name("index.json").read_text(encoding="utf-8"))
    return {line["name"]: RecipeSummary(**{**line, "students": tuple(line["students"])}) for line in lines}


@lru_cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.py"))]
    new = [
        file.stem for file in files if file.stem not in _index() and "\nRECIPE = " in file.read_text(encoding="utf-8")
    ]
    return (*_index(), *new)


def get_recipe(name: str) -> Recipe:
    """The recipe called ``name``.

    Raises:
        UsageError: There is none; the nearest name is given.
    """
    if name not in recipe_names():
        raise unknown(name, recipe_names(), what="recipe", where="'kdzoo recipes list' shows them")
    recipe: Recipe = import_module(f".{name}", __package__).RECIPE
    return recipe
