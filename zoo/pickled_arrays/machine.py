"""The interpreter: pickle's opcodes over a stack that only ever holds plain values and records."""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum
from typing import Any

from .records import ELEMENT_TYPES, Array, ElementType, RefusedError, build_array, build_element_type, shown

MAX_OPCODES = 2_000_000
MAX_STACK = 200_000
MAX_MARKS = 64
MAX_NAME_LENGTH = 512


class Allowed(Enum):
    """The only globals that a file may name; each is a token that is never called."""

    TUPLE = "tuple"
    ORDERED_DICT = "OrderedDict"
    NDARRAY = "ndarray"
    DTYPE = "dtype"
    RECONSTRUCT = "_reconstruct"
    ENCODE = "encode"
    BYTES = "bytes"


ALLOWED: dict[tuple[str, str], Allowed] = {
    ("builtins", "tuple"): Allowed.TUPLE,
    ("__builtin__", "tuple"): Allowed.TUPLE,
    ("collections", "OrderedDict"): Allowed.ORDERED_DICT,
    ("numpy", "ndarray"): Allowed.NDARRAY,
    ("numpy", "dtype"): Allowed.DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): Allowed.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Allowed.RECONSTRUCT,
    ("_codecs", "encode"): Allowed.ENCODE,
    ("builtins", "bytes"): Allowed.BYTES,
    ("__builtin__", "bytes"): Allowed.BYTES,
}


class Machine:
    """Runs a pickle's opcodes over `data` and returns what lies on the stack at STOP."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.encoded_bytes = 0

    def run(self) -> Any:
        """Interpret every opcode up to STOP, which must be the file's last byte."""
        if len(self.data) < 2 or self.data[0] != 0x80 or not 2 <= self.data[1] <= 4:
            raise RefusedError("it does not begin as a pickle of protocol 2, 3 or 4")
        self.position = 2
        for _ in range(MAX_OPCODES):
            opcode = self._byte()
            if opcode == 0x2E:  # STOP
                break
            operation = OPERATIONS.get(opcode)
            if operation is None:
                raise RefusedError(
                    f"opcode 0x{opcode:02x} at byte {self.position - 1} has no place in a file of arrays"
                )
            operation(self)
            if len(self.stack) > MAX_STACK:
                raise RefusedError(f"more than {MAX_STACK} values wait on its stack")
        else:
            raise RefusedError(f"it has more than {MAX_OPCODES} operations")
        if self.position != len(self.data):
            raise RefusedError(f"{len(self.data) - self.position} bytes follow its end")
        if len(self.stack) != 1 or self.marks:
            raise RefusedError("its stack does not hold exactly one value at the end")
        return self._pop()

    # reading -----------------------------------------------------------------------------------------------------
    def _byte(self) -> int:
        if self.position >= len(self.data):
            raise RefusedError("it is cut short")
        value = self.data[self.position]
        self.position += 1
        return value

    def _take(self, num_bytes: int) -> memoryview:
        left = len(self.data) - self.position
        if num_bytes > left:
            raise RefusedError(f"at byte {self.position} it claims {num_bytes} bytes and only {left} are left")
        taken = self.data[self.position : self.position + num_bytes]
        self.position += num_bytes
        return taken

    def _number(self, num_bytes: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(num_bytes), "little", signed=signed)

    def _line(self) -> str:
        end = self.position
        while end < len(self.data) and self.data[end] != 0x0A:
            end += 1
            if end - self.position > MAX_NAME_LENGTH:
                raise RefusedError("it names a global with an overlong name")
        text = self._text(self._take(end - self.position))
        self._take(1)
        return text

    @staticmethod
    def _text(raw: memoryview) -> str:
        try:
            return str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise RefusedError("it holds text that is not UTF-8") from None

    # stack -------------------------------------------------------------------------------------------------------
    def push(self, value: Any) -> None:
        self.stack.append(value)

    def _pop(self) -> Any:
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) <= floor:
            raise RefusedError(f"at byte {self.position} it takes more from its stack than there is")
        return self.stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise RefusedError(f"at byte {self.position} it closes a group that was never opened")
        floor = self.marks.pop()
        items = self.stack[floor:]
        del self.stack[floor:]
        return items

    def mark(self) -> None:
        if len(self.marks) >= MAX_MARKS:
            raise RefusedError(f"it nests more than {MAX_MARKS} groups")
        self.marks.append(len(self.stack))

    def tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def tuple_to_mark(self) -> None:
        self.push(tuple(self._pop_to_mark()))

    # memo --------------------------------------------------------------------------------------------------------
    def remember(self, index: int) -> None:
        if index > MAX_OPCODES:
            raise RefusedError(f"it stores a value under the number {index}")
        value = self._pop()
        self.push(value)
        self.memo[index] = value

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise RefusedError(f"it recalls value {index}, which it never stored")
        self.push(self.memo[index])

    # containers --------------------------------------------------------------------------------------------------
    def set_items(self, items: list[Any]) -> None:
        target = self._pop()
        if type(target) is not dict or len(items) % 2:
            raise RefusedError("it sets items of something that is not a dict")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) is not str:
                raise RefusedError(f"a dict's key is {shown(key)}, not text")
            if key in target:
                raise RefusedError(f"the key {shown(key)} comes twice")
            target[key] = value
        self.push(target)

    def append_items(self, items: list[Any]) -> None:
        target = self._pop()
        if type(target) is not list:
            raise RefusedError("it appends to something that is not a list")
        target.extend(items)
        self.push(target)

    # objects -----------------------------------------------------------------------------------------------------
    def push_global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise RefusedError("it computes the name of a global")
        token = ALLOWED.get((module, name))
        if token is None:
            raise RefusedError(f"it names {shown(module)}, {shown(name)}, which no file of arrays needs")
        self.push(token)

    def reduce(self) -> None:
        arguments = self._pop()
        function = self._pop()
        if type(arguments) is not tuple:
            raise RefusedError("it calls something with arguments that are no tuple")
        if function is Allowed.RECONSTRUCT:
            first, shape, code = arguments if len(arguments) == 3 else (None, None, None)
            if first is not Allowed.NDARRAY or shape != (0,) or code not in (b"b", "b"):
                raise RefusedError("it rebuilds something other than a plain numpy array")
            self.push(Array())
        elif function is Allowed.DTYPE:
            code, align, copy = arguments if len(arguments) == 3 else (None, None, None)
            if type(code) is not str or code not in ELEMENT_TYPES or align not in (False, 0) or copy not in (True, 1):
                raise RefusedError(f"it holds an array of type {shown(code)}, which is no plain number")
            self.push(ElementType(code))
        elif function is Allowed.ENCODE:
            self.push(self._encoded(arguments))
        elif function is Allowed.TUPLE:
            if len(arguments) != 1 or type(arguments[0]) is not tuple:
                raise RefusedError("it makes a tuple of something that is no tuple")
            self.push(arguments[0])
        elif function is Allowed.ORDERED_DICT and arguments == ():
            self.push({})
        elif function is Allowed.BYTES and arguments == ():  # how protocol 2 writes no bytes at all
            self.push(b"")
        else:
            raise RefusedError(f"it calls {shown(getattr(function, 'value', function))}")

    def _encoded(self, arguments: tuple[Any, ...]) -> bytes:
        if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] != "latin1":
            raise RefusedError("it encodes text in another way than numpy does")
        try:
            encoded = arguments[0].encode("latin-1")
        except UnicodeEncodeError:
            raise RefusedError("it encodes text that is not latin-1") from None
        self.encoded_bytes += len(encoded)
        if self.encoded_bytes > len(self.data):
            raise RefusedError("it encodes the same text again and again")
        return encoded

    def build(self) -> None:
        state = self._pop()
        target = self._pop()
        if type(target) is ElementType:
            build_element_type(target, state)
        elif type(target) is Array:
            build_array(target, state)
        else:
            raise RefusedError(f"it sets the state of {shown(target)}, not of an array")
        self.push(target)


def _float(machine: Machine) -> float:
    value: float = struct.unpack(">d", machine._take(8))[0]
    return value


def _short_long(machine: Machine) -> int:
    num_bytes = machine._byte()
    if num_bytes > 8:
        raise RefusedError(f"it holds a whole number of {num_bytes} bytes")
    return machine._number(num_bytes, signed=True)


def _check_frame(machine: Machine) -> None:
    num_bytes = machine._number(8)
    if num_bytes > len(machine.data) - machine.position:
        raise RefusedError(f"a frame claims {num_bytes} bytes, more than are left")


def _stack_global(machine: Machine) -> None:
    name, module = machine._pop(), machine._pop()
    machine.push_global(module, name)


OPERATIONS: dict[int, Callable[[Machine], None]] = {
    0x95: _check_frame,
    ord("("): Machine.mark,
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord(")"): lambda m: m.push(()),
    ord("t"): Machine.tuple_to_mark,
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m._number(1)),
    ord("M"): lambda m: m.push(m._number(2)),
    ord("J"): lambda m: m.push(m._number(4, signed=True)),
    0x8A: lambda m: m.push(_short_long(m)),
    ord("G"): lambda m: m.push(_float(m)),
    0x8C: lambda m: m.push(m._text(m._take(m._number(1)))),
    ord("X"): lambda m: m.push(m._text(m._take(m._number(4)))),
    0x8D: lambda m: m.push(m._text(m._take(m._number(8)))),
    ord("U"): lambda m: m.push(str(m._take(m._number(1)), "latin-1")),
    ord("T"): lambda m: m.push(str(m._take(m._number(4)), "latin-1")),
    ord("C"): lambda m: m.push(m._take(m._number(1))),
    ord("B"): lambda m: m.push(m._take(m._number(4))),
    0x8E: lambda m: m.push(m._take(m._number(8))),
    ord("q"): lambda m: m.remember(m._number(1)),
    ord("r"): lambda m: m.remember(m._number(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("h"): lambda m: m.recall(m._number(1)),
    ord("j"): lambda m: m.recall(m._number(4)),
    ord("s"): lambda m: m.set_items([m._pop(), m._pop()][::-1]),
    ord("u"): lambda m: m.set_items(m._pop_to_mark()),
    ord("a"): lambda m: m.append_items([m._pop()]),
    ord("e"): lambda m: m.append_items(m._pop_to_mark()),
    ord("c"): lambda m: m.push_global(m._line(), m._line()),
    0x93: _stack_global,
    ord("R"): Machine.reduce,
    ord("b"): Machine.build,
}
