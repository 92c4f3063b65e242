"""What a config.json that others wrote may say about the network: names, types and ranges. Everything else is refused.

The names, in architecture_arguments.toml, are arguments of the networks themselves (timm's and kdzoo's). Those of
timm's factory around them are not there: they load files, loosen the check of the weights, or make something else than
a classifier (``pretrained_strict``, ``features_only``, ``out_indices``, ``checkpoint_path``, …).
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..base.errors import ModelError
from .preprocessing import MAX_IMAGE_SIZE

MAX_CLASSES = 200_000
"""timm's largest classifier has 115,217 outputs."""

_AGAIN = "use a model from a source that you know; an argument at its default can be taken out of the file"
_MAX_WIDTH = 2**16
_MAX_LAYERS = 128
_NAME = re.compile(r"[\w.-]{0,64}", re.ASCII)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    """A check for whole numbers of a range."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= 1e5


def _name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _flag_or_number(value: Any) -> bool:
    return _flag(value) or _number(value)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "flags": ("true or false", _flag),
    "layers": (f"whole numbers from 0 to {_MAX_LAYERS}", _whole(0, _MAX_LAYERS)),
    "widths": (f"whole numbers up to {_MAX_WIDTH}", _whole(-1, _MAX_WIDTH)),
    "pixels": (f"pixels, from 1 to {MAX_IMAGE_SIZE}", _whole(1, MAX_IMAGE_SIZE)),
    "shares": ("from 0 to below 1", _share),
    "numbers": ("finite numbers up to 1e5", _flag_or_number),
    "names": ("names", _name),
}
ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    name: _KINDS[kind]
    for kind, names in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
    for name in names.split()
}
"""By the argument's name: its range in words, and whether one value lies in it."""


def checked_arguments(arguments: Any, path: Path) -> dict[str, Any]:
    """A config.json's ``model_args`` as they may reach a network.

    The class count and the channels, which timm's users write there too, are read elsewhere and left out.

    Raises:
        ModelError: An argument is not one that a published model may set, or its value is out of range.
    """
    if not isinstance(arguments, Mapping):
        raise ModelError(f"{path} has model_args that are not an object", hint="get the folder again")
    checked = {}
    for name, value in arguments.items():
        if name in ("num_classes", "in_chans"):
            continue
        if name not in ALLOWED:
            raise ModelError(
                f"{path} sets {str(name)[:60]!a}, which is no argument of an architecture that a model's file may set",
                hint=_AGAIN,
            )
        meaning, fits = ALLOWED[name]
        if not _all(value, fits):
            shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
            raise ModelError(f"{path} sets {name!r} to {shown!a}: it takes {meaning}", hint=_AGAIN)
        checked[name] = value
    return checked


def _all(value: Any, fits: Callable[[Any], bool], depth: int = 0) -> bool:
    """Whether a value, or every one in a short list (of lists), lies in the range; None is an architecture's own."""
    if isinstance(value, list | tuple):
        return depth < 2 and len(value) <= 64 and all(_all(item, fits, depth + 1) for item in value)
    return value is None or fits(value)
