"""Reaching into a recipe's settings by dotted path: reading, changing, and turning text into typed values.

The types are the settings' own annotations; there is no second list of options to keep.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import UsageError
from .recipe import SECTIONS, Recipe

T = TypeVar("T")
_TRUE, _FALSE, _NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "")


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
    """The type of every leaf that ``flatten`` gives."""
    hints = get_type_hints(type(settings))
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


def _wrong(path: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"{path} is {wanted}, got {value!r}", hint=f"for example --set {path}=…, with {wanted}")


def _describe(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(str(arg) for arg in args)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if arg is type(None) else _describe(arg) for arg in args)
    if origin is tuple:
        inner = _describe(args[0]).removeprefix("a ").removeprefix("an ")
        return f"a list of {inner}s" if args[-1] is Ellipsis else f"{len(args)} values ({inner}s), separated by commas"
    return {int: "an integer", float: "a number", bool: "true or false", str: "a text"}.get(annotation, str(annotation))


def _to_tuple(value: Any, args: tuple[Any, ...], path: str, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        text = value.strip()
        if text[:1] + text[-1:] in ("()", "[]"):
            text = text[1:-1]
        value = [part.strip().strip("'\"") for part in text.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise _wrong(path, value, wanted)
    kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        raise _wrong(path, value, wanted)
    return tuple(convert(item, kind, path) for item, kind in zip(value, kinds, strict=True))


def _to_union(value: Any, args: tuple[Any, ...], path: str, wanted: str) -> Any:
    if type(None) in args and (value is None or (isinstance(value, str) and value.strip().lower() in _NONE)):
        return None
    for kind in (arg for arg in args if arg is not type(None)):
        try:
            return convert(value, kind, path)
        except UsageError:
            continue
    raise _wrong(path, value, wanted)


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def _to_number(value: Any, kind: type) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = kind(value.strip()) if isinstance(value, str) else kind(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and (isinstance(value, str) or number == value) else None


def convert(value: Any, annotation: Any, path: str) -> Any:
    """A value, or the text of one, as the annotated type.

    Args:
        value: Text from a command line or the environment, or a value from YAML or code.
        annotation: ``int``, ``float``, ``bool``, ``str``, a ``Literal``, a tuple of these, or a union of them with or
            without None.
        path: The setting, for the message.

    Raises:
        UsageError: The value is not of that type.
    """
    origin, args, wanted = get_origin(annotation), get_args(annotation), _describe(annotation)
    if origin is tuple:
        return _to_tuple(value, args, path, wanted)
    if origin in (Union, types.UnionType):
        return _to_union(value, args, path, wanted)
    if origin is Literal:
        found = value.strip() if isinstance(value, str) else value
        if found not in args:
            raise _wrong(path, value, wanted)
        return found
    converted: Any = None
    if annotation is bool:
        converted = _to_bool(value)
    elif annotation in (int, float):
        converted = _to_number(value, annotation)
    elif annotation is str:
        converted = value if isinstance(value, str) and value else None
    if converted is None:
        raise _wrong(path, value, wanted)
    return converted


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
