"""What a file of arrays may hold, as plain records: element types and arrays, each checked when its state is set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Buffer: TypeAlias = bytes | memoryview

MAX_DIMENSIONS = 8


class RefusedError(ValueError):
    """The file is not a plain dict of arrays; the message says where it stops being one."""


def shown(value: object) -> str:
    """A short, printable form of something that the file holds."""
    text = ascii(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."


# numpy's type codes -> (safetensors' name, bytes an element)
ELEMENT_TYPES: dict[str, tuple[str, int]] = {
    "f2": ("F16", 2),
    "f4": ("F32", 4),
    "f8": ("F64", 8),
    "i1": ("I8", 1),
    "i2": ("I16", 2),
    "i4": ("I32", 4),
    "i8": ("I64", 8),
    "u1": ("U8", 1),
    "u2": ("U16", 2),
    "b1": ("BOOL", 1),
}


@dataclass(eq=False)
class ElementType:
    """A numpy dtype: its code, and whether its byte order has been told."""

    code: str
    complete: bool = False


@dataclass(eq=False)
class Array:
    """A numpy array: shape, element type and the bytes as they lie in the file."""

    shape: tuple[int, ...] = ()
    element: ElementType = field(default_factory=lambda: ElementType("f4"))
    fortran_order: bool = False
    data: Buffer = b""
    complete: bool = False


def build_element_type(target: ElementType, state: Any) -> None:
    orders = ("|",) if ELEMENT_TYPES[target.code][1] == 1 else ("<",)
    if (
        target.complete
        or type(state) is not tuple
        or len(state) != 8
        or state[1] not in orders
        or state[2:5] != (None, None, None)
        or state[5:] != (-1, -1, 0)
    ):
        raise RefusedError("it holds an array with a structured, object or big-endian element type")
    target.complete = True


def build_array(target: Array, state: Any) -> None:
    if target.complete or type(state) is not tuple or len(state) != 5:
        raise RefusedError("it sets an array's state in another way than numpy does")
    _, shape, element, fortran_order, data = state
    if type(element) is not ElementType or not element.complete:
        raise RefusedError("an array has no plain element type")
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise RefusedError("an array's shape is no short tuple of sizes")
    if type(data) is str:  # protocol 2, written by Python 2
        try:
            data = data.encode("latin-1")
        except UnicodeEncodeError:
            raise RefusedError("an array's bytes are not latin-1") from None
    if type(data) not in (bytes, memoryview):
        raise RefusedError(f"an array's content is {shown(data)}, not bytes")
    claimed = math.prod(shape) * ELEMENT_TYPES[element.code][1]
    if claimed != len(data):
        raise RefusedError(f"an array claims {claimed} bytes and holds {len(data)}")
    if fortran_order not in (True, False):
        raise RefusedError("an array's memory order is neither of the two")
    target.shape, target.element, target.data = shape, element, data
    target.fortran_order = bool(fortran_order)
    target.complete = True
