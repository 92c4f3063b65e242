"""A recipe as ``kdzoo recipes show`` gives it: settings with citations, tables, deviations and conflicts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any

from ..base.settings import flatten
from .citations import citations
from .recipe import Recipe

_ITEM = re.compile(r" +\d+\. (.*)")


def docstring(recipe: Recipe) -> str:
    """The head of the recipe's file."""
    if recipe.code is not None:
        return inspect.getdoc(recipe.code.module) or ""
    return inspect.getdoc(import_module(f".{recipe.name}", __package__)) or ""


def numbered(recipe: Recipe, heading: str) -> tuple[str, ...]:
    """The numbered list under ``Deviations:`` or ``Conflicts:`` of the recipe file's docstring, in order."""
    items: list[str] = []
    inside = False
    for line in docstring(recipe).splitlines():
        if not line.startswith(" "):
            inside = line.strip() == f"{heading}:" or (inside and not line.strip())
        elif inside:
            item = _ITEM.fullmatch(line)
            if item:
                items.append(item[1].strip())
            elif items:
                items[-1] += f" {line.strip()}"
    return tuple(items)


def commands(recipe: Recipe) -> tuple[str, ...]:
    """The command lines of the recipe file's docstring."""
    found: list[str] = []
    inside = False
    for line in docstring(recipe).splitlines():
        inside = line.startswith("Command:") or (inside and line.startswith("   "))
        if inside:
            found.append(line.removeprefix("Command:").strip())
    return tuple(found)


def _overrides(overrides: Mapping[str, Any], cited: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """``{setting: {"value", "citation"}}``."""
    return {
        path: {"value": list(value) if isinstance(value, tuple) else value, "citation": cited.get(f"{prefix}.{path}")}
        for path, value in overrides.items()
    }


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """Everything about a recipe as a JSON object."""
    cited = citations(recipe)
    plain = {path: list(value) if isinstance(value, tuple) else value for path, value in flatten(recipe).items()}
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "ours": recipe.ours,
        "paper": asdict(recipe.paper),
        "reproduces": list(recipe.reproduces),
        "commands": list(commands(recipe)),
        "settings": {path: {"value": value, "citation": cited[path]} for path, value in plain.items()},
        "students": [
            {
                **asdict(row),
                "teachers": list(row.teachers),
                "overrides": _overrides(row.overrides, cited, f"students.{row.name}.overrides"),
            }
            for row in recipe.students
        ],
        "stages": [
            {
                "name": stage.name,
                "why": stage.why,
                "start": stage.start,
                "only_with": list(stage.only_with),
                "overrides": _overrides(stage.overrides, cited, f"stages.{stage.name}"),
            }
            for stage in recipe.stages
        ],
        "variants": [
            {
                "name": variant.name,
                "why": variant.why,
                "overrides": _overrides(variant.overrides, cited, f"variants.{variant.name}"),
            }
            for variant in recipe.variants
        ],
        "deviations": list(numbered(recipe, "Deviations")),
        "conflicts": list(numbered(recipe, "Conflicts")),
    }
