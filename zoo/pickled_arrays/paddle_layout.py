"""Paddle's layout of a `.pdparams` file: a dict of arrays, or of (internal name, array) pairs, with bookkeeping.

Paddle splits a parameter of more than 2^30 - 1 bytes into `name@@.0`, `name@@.1`, … where it writes protocol 2 or 3.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .machine import MAX_NAME_LENGTH, Machine
from .records import ELEMENT_TYPES, MAX_DIMENSIONS, Array, RefusedError, shown


def read_arrays(data: memoryview) -> dict[str, Array]:
    """Return the arrays of a `.pdparams` file by name, Paddle's bookkeeping resolved.

    Raises:
        RefusedError: The bytes are anything but a dict of plain arrays.
    """
    content = Machine(data).run()
    if type(content) is not dict:
        raise RefusedError(f"it holds {shown(content)}, not a dict of arrays")
    names = content.pop("StructuredToParameterName@@", {})
    if type(names) is not dict or not all(type(value) is str for value in names.values()):
        raise RefusedError("its table of parameter names is no table of names")
    big = content.pop("UnpackBigParamInfor@@", {})
    arrays = {key: _array_of(key, value) for key, value in content.items()}
    arrays = _join_slices(arrays, big)
    if not arrays:
        raise RefusedError("it holds no arrays")
    if sum(len(array.data) for array in arrays.values()) > len(data):
        raise RefusedError("its arrays claim more bytes than the file has")
    return arrays


def _array_of(key: str, value: Any) -> Array:
    if len(key) > MAX_NAME_LENGTH or not re.fullmatch(r"[A-Za-z0-9_.@-]+", key) or key == "__metadata__":
        raise RefusedError(f"the name {shown(key)} is not one of a parameter")
    if type(value) is tuple and len(value) == 2 and type(value[0]) is str:
        value = value[1]
    if type(value) is not Array or not value.complete:
        raise RefusedError(f"the value of {shown(key)} is {shown(value)}, not a whole array")
    return value


def _join_slices(arrays: dict[str, Array], big: Any) -> dict[str, Array]:
    """Join the parts of parameters that protocols 2 and 3 split (`key@@.0`, `key@@.1`, …)."""
    if type(big) is not dict:
        raise RefusedError("its table of split parameters is no table")
    joined = dict(arrays)
    for key, entry in big.items():
        parts, shape = (entry.get("slices"), entry.get("OriginShape")) if type(entry) is dict else (None, None)
        if type(shape) is list:
            shape = tuple(shape)
        if type(parts) is not list or type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
            raise RefusedError(f"the split parameter {shown(key)} has no list of slices and no shape")
        if key in joined or not parts or not all(type(part) is str and part in joined for part in parts):
            raise RefusedError(f"the slices of the split parameter {shown(key)} are not all there, once")
        pieces = [joined.pop(part) for part in parts if part in joined]
        element = pieces[0].element
        if len(pieces) != len(parts) or any(len(p.shape) != 1 or p.element.code != element.code for p in pieces):
            raise RefusedError(f"the slices of the split parameter {shown(key)} do not fit together")
        whole = b"".join(piece.data for piece in pieces)
        if len(shape) > MAX_DIMENSIONS or math.prod(shape) * ELEMENT_TYPES[element.code][1] != len(whole):
            raise RefusedError(f"the slices of the split parameter {shown(key)} do not fill its shape")
        joined[key] = _array_of(key, Array(shape, element, False, whole, True))
    return joined
