"""The recipes by name: every file of this folder that makes a ``RECIPE``, and those that installed packages bring.

What ``kdzoo recipes list`` shows stands in ``index.json``, so that listing them imports neither a recipe nor torch.
``python -m kdzoo.recipes.document recipes/index.json`` makes it anew; a recipe that it lacks is imported instead.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.digests import sha256_of
from ..base.errors import UsageError
from ..base.own_code import OwnCode
from ..base.suggestions import unknown

if TYPE_CHECKING:
    from .recipe import Recipe

GROUP = "kdzoo.recipes"
"""Of the entry points by which a package brings recipes: its name, and the module or the recipe."""


@dataclass(frozen=True, kw_only=True)
class RecipeSummary:
    """A line of ``kdzoo recipes list``.

    Attributes:
        name: What ``--recipe`` calls it.
        title: The paper's.
        year: The paper's; None where that is not known before the recipe is loaded.
        summary: What it does.
        students: The students of its table.
        ours: Whether it is kdzoo's own; the paper is then the closest reference.
    """

    name: str
    title: str
    year: int | None
    summary: str
    students: tuple[str, ...]
    ours: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def list_recipes() -> tuple[RecipeSummary, ...]:
    """Every recipe, a line each; of those that installed packages bring nothing is imported."""
    known, found = _index(), list[RecipeSummary]()
    for one in _installed():
        what = f"of the package {_package(one)}; 'kdzoo recipes show {one.name}' loads it"
        if one.name in recipe_names():
            what = f"of the package {_package(one)}, out of reach: kdzoo's own has this name"
        found.append(RecipeSummary(name=one.name, title="", year=None, summary=what, students=()))
    return (*(known.get(name) or summarise(get_recipe(name)) for name in recipe_names()), *found)


def recipe_names() -> tuple[str, ...]:
    """The name of every recipe of kdzoo's own, in the index's order; those that it lacks after them."""
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
        UsageError: There is none; the nearest name is given. Or a package's cannot be loaded.
    """
    if name in recipe_names():
        recipe: Recipe = import_module(f".{name}", __package__).RECIPE
        return recipe
    installed = _installed()
    chosen = [one for one in installed if one.name == name]
    if not chosen:
        known = [*recipe_names(), *(one.name for one in installed)]
        raise unknown(name, known, what="recipe", where="'kdzoo recipes list' shows them")
    if len(chosen) > 1:
        packages = " and ".join(map(_package, chosen))
        raise UsageError(f"{packages} both bring a recipe {name}", hint="uninstall one of them")
    return _load(chosen[0])


def _installed() -> tuple[EntryPoint, ...]:
    """The recipes of installed packages: their entry points in the group ``kdzoo.recipes``, by name."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)))


def _package(entry: EntryPoint) -> str:
    return entry.module if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _load(entry: EntryPoint) -> Recipe:
    """A package's recipe.

    Raises:
        UsageError: It cannot be imported, or is not what its entry point says.
    """
    from .recipe import Recipe

    found: Any = None
    try:
        found = entry.load()
        found = getattr(found, "RECIPE", found)
        why = "" if isinstance(found, Recipe) else f"{entry.value} is no recipe"
    except Exception as error:  # a package's own code
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not why and found.name != entry.name:
        why = f"it calls itself {found.name}"
    if why:
        message = f"the recipe {entry.name} of the package {_package(entry)} cannot be loaded: {why}"
        raise UsageError(message, hint="ask who made the package, or uninstall it")
    module = sys.modules[entry.module]
    sha256 = sha256_of(Path(str(module.__file__)))
    return replace(found, code=OwnCode(_package(entry), sha256, module, package=_package(entry)))
