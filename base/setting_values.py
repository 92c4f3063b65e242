"""A setting's value: its type and range, declared together, and text turned into a value that fits them.

A dataclass of settings annotates each number once, ``ema_decay: Decay | None``; command line, environment, config file,
recipe file and Python all pass through `convert`, so that no value reaches a run from outside its range. Imports the
errors alone, so that every room may use it.
"""

from __future__ import annotations

import math
import numbers
import os
import re
import reprlib
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
"""Where a run's numbers can be logged too."""

_TRUE, _FALSE, _NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "")
_SHOWN = 80
_TYPES: dict[Any, dict[str, Any]] = {}
_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class Range:
    """Which numbers a setting may have; NaN and infinity never.

    Attributes:
        low: The least.
        high: The largest.
        above_low: Whether ``low`` itself is left out.
        below_high: Whether ``high`` itself is left out.
    """

    low: float
    high: float
    above_low: bool = False
    below_high: bool = False

    def __contains__(self, number: float) -> bool:
        low = self.low < number if self.above_low else self.low <= number
        return low and (number < self.high if self.below_high else number <= self.high)

    def __str__(self) -> str:
        first, last = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        if self.above_low:
            return f"above {first} and {'below' if self.below_high else 'at most'} {last}"
        return f"from {first} to {'below ' if self.below_high else ''}{last}"


@dataclass(frozen=True)
class Words:
    """Words that stand for values of a setting, beside its type and range.

    Attributes:
        meanings: (word, value) pairs.
    """

    meanings: tuple[tuple[str, Any], ...]


Fraction = Annotated[float, Range(0, 1)]
LabelSmoothing = Annotated[float, Range(0, 0.999)]
"""Of labels: at 1 no label is left."""
PositiveFraction = Annotated[float, Range(0, 1, above_low=True)]
Decay = Annotated[float, Range(0, 1, below_high=True)]
"""Of a moving average or a momentum: at 1 nothing would ever move."""
LearningRate = Annotated[float, Range(0, 10_000, above_low=True)]
Weight = Annotated[float, Range(0, 1e6)]
"""Of a term of the loss, or another factor that may be 0."""
Scale = Annotated[float, Range(0, 1000)]
"""One learning rate over another."""
Temperature = Annotated[float, Range(1e-3, 1000)]
"""Of a softmax: below this, float32's logits overflow."""
BetaParameter = Annotated[float, Range(0, 1000)]
"""Of a symmetric Beta distribution; 0 only where nothing is drawn from it."""
WeightDecay = Annotated[float, Range(0, 10_000)]
GradientNorm = Annotated[float, Range(0, 1e9)]
Count = Annotated[int, Range(1, 10**9)]
CountFromZero = Annotated[int, Range(0, 10**9)]
"""A count whose 0 stands for none."""
Epochs = Annotated[int, Range(1, 10**6)]
Period = Annotated[float, Range(0, 10**6)]
"""A part of a run, in epochs."""
Passes = Annotated[float, Range(0, 10**6, above_low=True)]
"""Epochs that need not be whole."""
Width = Annotated[int, Range(1, 65_536)]
"""Channels or units of a layer."""
Pixels = Annotated[int, Range(1, 4096)]
"""A side of a network's input."""
CropPct = Annotated[float, Range(0.1, 1)]
"""Crop over resized short side: below this, the resized image is a hundred times the crop."""
Colour = Annotated[float, Range(0, 1)]
"""A channel's mean, of images in [0, 1]."""
Deviation = Annotated[float, Range(1e-3, 10)]
"""What a channel is divided by."""
Keypoints = Annotated[int, Range(4, 100_000)]
"""Matches under one homography, which takes four."""
Runs = Annotated[int, Range(1, 100)]
"""Equal but for their seeds."""
Percent = Annotated[float, Range(0, 100)]
Amount = Annotated[float, Range(0, 1e9)]
Colours = Annotated[tuple[float, float, float], Range(0, 1)]
Deviations = Annotated[tuple[float, float, float], Range(1e-3, 10)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
MOST_WORKERS = 1024
Workers = Annotated[int, Range(0, MOST_WORKERS)]


def default_workers(given: int | None = None, most: int = 8) -> int:
    """Processes that read images: as many as were given, else one a core, at most so many."""
    return min(most, os.cpu_count() or 1) if given is None else given


def shown(value: Any) -> str:
    """A value as an error repeats it: on one short line, whatever it is."""
    try:
        text = reprlib.repr(value) if isinstance(value, list | tuple | dict) else repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def describe(annotation: Any) -> str:
    """What a value of an annotated type is, in words: ``a number from 0 to 1 or none``."""
    bare, limits = _apart(annotation)
    words = _words(annotation)
    if words:
        return f"{describe(Annotated[bare, limits])} or one of {', '.join(words)}"
    within = "" if limits is None else f" {limits}"
    origin, args = get_origin(bare), get_args(bare)
    if origin is Literal:
        return ("one of " if len(args) > 1 else "") + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join("none" if arg is type(None) else describe(arg) for arg in args)
    if origin is tuple:
        item, inner = _apart(args[0])
        within = within or ("" if inner is None else f" {inner}")
        name = describe(item).removeprefix("a ").removeprefix("an ")
        if args[-1] is Ellipsis:
            return f"a list of {name}s{within}"
        return f"{len(args)} values ({name}s{within}), separated by commas"
    return f"{_KINDS.get(bare, str(bare))}{within}"


def convert(value: Any, annotation: Any, path: str) -> Any:
    """A value, or the text of one, as the annotated type and inside its range.

    Args:
        value: Text from a command line or the environment, or a value from YAML or code.
        annotation: ``int``, ``float``, ``bool``, ``str``, a ``Literal``, a tuple of these, or a union of them with or
            without None; numbers ``Annotated`` with their `Range`, and with `Words`.
        path: The setting, for the message.

    Raises:
        UsageError: The value is not of that type, or lies outside its range.
    """
    bare, limits = _apart(annotation)
    origin, args = get_origin(bare), get_args(bare)
    words = _words(annotation)
    if words and isinstance(value, str):
        try:
            return words[value.strip()] if value.strip() in words else convert(value, Annotated[bare, limits], path)
        except UsageError:
            raise _wrong(path, value, annotation) from None
    found: Any = None
    if origin is tuple:
        found = _to_tuple(value, args, limits, path)
    elif origin in (Union, types.UnionType):
        return _to_union(value, annotation, path)
    elif origin is Literal:
        found = next((arg for arg in args if _is_choice(value, arg)), None)
    elif bare is bool:
        found = _to_bool(value)
    elif bare in (int, float):
        found = _to_number(value, bare)
        if found is not None and limits is not None and found not in limits:
            found = None
    elif bare is str:
        found = value if isinstance(value, str) and value and _is_text(value) else None
    if found is None:
        raise _wrong(path, value, annotation)
    return found


def check_values(settings: Any, prefix: str = "") -> None:
    """Refuse a dataclass of settings, and those inside it, whose values are not of their types and ranges.

    Raises:
        UsageError: One is not; the first is named.
    """
    for path, value, annotation in leaves(settings, prefix):
        check_value(value, annotation, path)


def check_value(value: Any, annotation: Any, path: str) -> Any:
    """As `convert`, of a value from Python: the text of a number is none.

    Raises:
        UsageError: It does not fit.
    """
    found = convert(value, annotation, path)
    if _was_text(value, found):
        raise _wrong(path, value, annotation)
    return found


def leaves(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, value, annotated type) of every setting of a dataclass and of those inside it.

    A class of which only some fields are settings names these in ``SETTINGS``.
    """
    kinds = value_types(type(settings))
    for name in getattr(settings, "SETTINGS", kinds):
        value, annotation = getattr(settings, name), kinds[name]
        if is_dataclass(value):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, annotation


def value_types(kind: Any) -> dict[str, Any]:
    """The annotated type of each of a dataclass's fields, by name; read once, because a view is checked an image."""
    if kind not in _TYPES:
        hints = get_type_hints(kind, include_extras=True)
        _TYPES[kind] = {entry.name: hints[entry.name] for entry in fields(kind)}
    return _TYPES[kind]


def _apart(annotation: Any) -> tuple[Any, Range | None]:
    """The type, and the range beside it."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    bare, *beside = get_args(annotation)
    return bare, next((one for one in beside if isinstance(one, Range)), None)


def _words(annotation: Any) -> dict[str, Any]:
    """The words beside the type, and what they stand for."""
    beside = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return {word: value for one in beside if isinstance(one, Words) for word, value in one.meanings}


def _wrong(path: str, value: Any, annotation: Any) -> UsageError:
    wanted = describe(annotation)
    return UsageError(f"{path} is {wanted}, got {shown(value)}", hint=f"give {path} such a value, or leave it out")


def _is_choice(value: Any, choice: Any) -> bool:
    if isinstance(value, str):
        return value.strip() == str(choice)
    return type(value) is type(choice) and bool(value == choice)


def _is_text(value: str) -> bool:
    """Whether a file could hold it, and a path: no half of a character, no null byte."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _was_text(value: Any, found: Any) -> bool:
    if isinstance(found, tuple):
        return isinstance(value, str) or any(map(_was_text, value, found))
    return isinstance(value, str) and not isinstance(found, str)


def _to_tuple(value: Any, args: tuple[Any, ...], limits: Range | None, path: str) -> tuple[Any, ...] | None:
    if isinstance(value, str):
        text = value.strip()
        if text[:1] + text[-1:] in ("()", "[]"):
            text = text[1:-1]
        elif text == "none" and args[-1] is Ellipsis:
            text = ""
        elif re.fullmatch(r"\d+x\d+", text):
            text = text.replace("x", ",")
        value = [part.strip().strip("'\"") for part in text.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        return None
    kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        return None
    if limits is not None:
        kinds = [Annotated[kind, limits] for kind in kinds]
    return tuple(convert(item, kind, path) for item, kind in zip(value, kinds, strict=True))


def _to_union(value: Any, annotation: Any, path: str) -> Any:
    args = get_args(annotation)
    if type(None) in args and (value is None or (isinstance(value, str) and value.strip().lower() in _NONE)):
        return None
    for kind in (arg for arg in args if arg is not type(None)):
        try:
            return convert(value, kind, path)
        except UsageError:
            continue
    raise _wrong(path, value, annotation)


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def _to_number(value: Any, kind: type) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
        return None
    try:
        number = kind(value.strip()) if isinstance(value, str) else kind(value)
        fits = math.isfinite(number) and (isinstance(value, str) or number == value)
    except (ValueError, OverflowError):
        return None
    return number if fits else None
