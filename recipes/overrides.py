"""Reaching into a recipe's settings by dotted path: reading and changing.

Types and ranges are the settings' own annotations; there is no second list of options to keep.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from ..base.errors import UsageError
from ..base.setting_values import convert, value_types
from .recipe import SECTIONS, Recipe

T = TypeVar("T")


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf below a dataclass as ``{dotted path: value}``; a recipe gives its settings, not its description."""
    names = SECTIONS if isinstance(settings, Recipe) else [field.name for field in fields(settings)]
    flat: dict[str, Any] = {}
    for name in names:
        value = getattr(settings, name)
        if is_dataclass(value):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def setting_types(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The type of every leaf that ``flatten`` gives, with its range."""
    hints = value_types(type(settings))
    names = SECTIONS if isinstance(settings, Recipe) else [field.name for field in fields(settings)]
    flat: dict[str, Any] = {}
    for name in names:
        value = getattr(settings, name)
        if is_dataclass(value):
            flat.update(setting_types(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = hints[name]
    return flat


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be: by spelling, or by its last part."""
    known = list(known)
    by_spelling = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if by_spelling:
        return by_spelling[0]
    last = {path.rsplit(".", 1)[-1]: path for path in reversed(known)}
    by_last = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(last), n=1, cutoff=0.6)
    return last[by_last[0]] if by_last else None


def unknown(name: str, known: Iterable[str], *, what: str, where: str) -> UsageError:
    """The error for a name that is not known.

    Args:
        name: What was written.
        known: What could have been written.
        what: The kind of thing, such as ``setting``.
        where: How to see them all.
    """
    close = nearest(name, known)
    meant = f"did you mean {close!r}? " if close else ""
    return UsageError(f"unknown {what} {name!r}", hint=f"{meant}{where}")


def replace_settings(settings: T, values: Mapping[str, Any]) -> T:
    """A copy of a dataclass tree with some leaves replaced; the values must be of the right type already.

    Raises:
        UsageError: A value that its settings class refuses.
    """
    here: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, dot, rest = path.partition(".")
        if dot:
            below.setdefault(name, {})[rest] = value
        else:
            here[name] = value
    here.update({name: replace_settings(getattr(settings, name), inner) for name, inner in below.items()})
    try:
        return replace(settings, **here)  # type: ignore[type-var]
    except ValueError as error:
        raise UsageError(f"{', '.join(values)}: {error}") from error


@dataclass(frozen=True)
class Place:
    """What a dotted path of an override reaches: ``[datasets.NAME.][students.STUDENT.][stages.STAGE.]SETTING``.

    Attributes:
        student: The row of the table that it is for, or None for all.
        stage: The stage that it is for, or None for all.
        setting: The dotted setting.
        dataset: The data set that it is for, or None for all.
    """

    student: str | None
    stage: str | None
    setting: str
    dataset: str | None = None


def place_of(path: str) -> Place:
    """Take a path apart; nothing is checked."""
    found: dict[str, str] = {}
    for kind in ("datasets", "students", "stages"):
        parts = path.split(".", 2)
        if parts[0] == kind and len(parts) == 3:
            found[kind], path = parts[1], parts[2]
    return Place(found.get("students"), found.get("stages"), path, found.get("datasets"))


def typed(settings: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path, converted to the types of ``settings``. Of a recipe, a path may name a stage or a student.

    Raises:
        UsageError: An unknown path (the nearest one is named) or a value of the wrong type.
    """
    known = setting_types(settings)
    rows = {row.name for row in settings.students} if isinstance(settings, Recipe) else set()
    stages = {stage.name for stage in settings.stages} if isinstance(settings, Recipe) else set()
    places = {path: place_of(path) if isinstance(settings, Recipe) else Place(None, None, path) for path in values}
    for place in places.values():
        if place.student is not None and place.student not in rows:
            raise unknown(
                place.student, rows, what="student", where=f"the table has {', '.join(sorted(rows)) or 'none'}"
            )
        if place.stage is not None and place.stage not in stages:
            raise unknown(place.stage, stages, what="stage", where=f"there are {', '.join(sorted(stages)) or 'none'}")
        if place.setting not in known:
            raise unknown(place.setting, known, what="setting", where="'kdzoo recipes show NAME' lists them all")
    return {path: convert(value, known[places[path].setting], path) for path, value in values.items()}


def override(settings: T, values: Mapping[str, Any]) -> T:
    """``replace_settings`` after ``typed``: what ``--set`` does."""
    return replace_settings(settings, typed(settings, values))


def parse_assignments(arguments: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` arguments as ``{key: text}``; a later one wins.

    Raises:
        UsageError: An argument without ``=``.
    """
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes KEY=VALUE, got {argument!r}", hint="for example --set optimizer.lr=0.02")
        values[key.strip()] = value
    return values
