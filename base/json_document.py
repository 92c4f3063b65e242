"""Reading JSON into dataclasses by their annotations: strictly, or taking what there is."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

_LARGEST = 1e30  # what a file gives beyond it is damage, not a measurement
_EMPTY: dict[Any, Any] = {str: "", int: 0, float: math.nan, tuple: (), Mapping: {}}
_WORDS = {str: "a text", int: "a whole number", float: "a number", tuple: "a list"}


def as_number(value: object) -> float:
    """A number of a JSON document; NaN for what is none (metrics write ``nan`` and ``inf`` as words)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        return math.nan
    return float(value)


def as_count(value: object) -> int:
    """A count of a JSON document; 0 for what is none."""
    number = as_number(value)
    return int(number) if number > 0 else 0


def as_object(value: object) -> dict[str, Any]:
    """An object of a JSON document; empty for what is none."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list of a JSON document, without entries of another form."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """A text of a JSON document; empty for what is none."""
    return value if isinstance(value, str) else ""


def decode(kind: type[T], value: object, *, strict: bool = False) -> T:
    """A JSON value as a dataclass of texts, numbers, tuples, mappings and dataclasses, or of one of these or None.

    Args:
        kind: The dataclass. Entries that it does not know are passed over.
        value: Decoded JSON.
        strict: Refuse what is missing or of another type. Otherwise it becomes its default, or the empty value of its
            type: "", 0 (a count), NaN, (), {} or None; entries of lists become texts where texts are wanted.

    Raises:
        ValueError: ``strict``, and a field is missing or of another type, or a number is not finite.
    """
    return cast("T", _decode(kind, value, kind.__name__, strict=strict))


def _decode(kind: Any, value: Any, where: str, *, strict: bool) -> Any:
    if kind is Any:
        return value
    arguments, form = get_args(kind), get_origin(kind) or kind
    if form in (Union, UnionType):
        inner = next(one for one in arguments if one is not NoneType)
        fits = value is not None and (strict or _fits(get_origin(inner) or inner, value))
        return _decode(inner, value, where, strict=strict) if fits else None
    if strict and not _fits(form, value):
        raise ValueError(f"{where} is not {_WORDS.get(form, 'a JSON object')}")
    if is_dataclass(form):
        form = cast("Any", form)
        return form(**_fields(form, as_object(value), where, strict))
    if not strict and form in (int, float):
        return as_count(value) if form is int else as_number(value)
    if not _fits(form, value):
        return _EMPTY[form]
    if form is tuple:
        items = value if strict or not is_dataclass(arguments[0]) else as_objects(value)
        return tuple(_item(arguments[0], item, where, strict) for item in items)
    if form is Mapping:
        return {str(name): _item(arguments[1], item, f"{where}.{name}", strict) for name, item in value.items()}
    return value


def _fits(form: Any, value: object) -> bool:
    if form in (int, float):
        number = isinstance(value, int if form is int else int | float) and not isinstance(value, bool)
        return number and abs(cast("float", value)) <= sys.float_info.max
    return isinstance(value, {str: str, tuple: list}.get(form, dict))


def _item(kind: Any, value: Any, where: str, strict: bool) -> Any:
    return str(value) if kind is str and not strict else _decode(kind, value, where, strict=strict)


def _fields(kind: Any, found: Mapping[str, Any], where: str, strict: bool) -> dict[str, Any]:
    values = {}
    for name, (annotation, required) in _annotations(kind).items():
        if name in found or required:
            if strict and name not in found:
                raise ValueError(f"{where} has no {name}")
            values[name] = _decode(annotation, found.get(name), f"{where}.{name}", strict=strict)
    return values


@cache
def _annotations(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The fields of a dataclass: what each is annotated as, and whether it has no default."""
    hints = get_type_hints(kind)
    return {
        one.name: (hints[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
    }
