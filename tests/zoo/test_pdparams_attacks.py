"""Malicious .pdparams: each executes nothing, writes nothing, and is refused with one clear line.

`ATTACKS` builds the files. Those marked live do their harm when an ordinary `pickle.load` reads them, which a test
proves first: a corpus of duds would prove nothing.
"""

from __future__ import annotations

import pickle
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from kdzoo.base.errors import ModelError
from kdzoo.zoo.pdparams import read_pdparams

PROTO2, PROTO4, STOP = b"\x80\x02", b"\x80\x04", b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def entry(value: bytes, key: str = "w") -> bytes:
    """A whole file: a dict with one entry."""
    return PROTO2 + b"}" + text(key) + value + b"s" + STOP


RECONSTRUCT = named("numpy._core.multiarray", "_reconstruct")
NDARRAY = named("numpy", "ndarray")
DTYPE_STATE = b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def dtype(code: str = "f4", state: bytes = DTYPE_STATE) -> bytes:
    return call(named("numpy", "dtype"), text(code), b"\x89", b"\x88") + state


def array(shape: bytes = b"K\x01\x85", data: bytes = b"C\x04\x00\x00\x80?", element: bytes | None = None) -> bytes:
    blank = call(RECONSTRUCT, NDARRAY, b"K\x00\x85", b"C\x01b")
    return blank + b"(K\x01" + shape + (element or dtype()) + b"\x89" + data + b"tb"


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def python(canary: Path) -> bytes:
    """Source that leaves the canary, as pickled text."""
    return text(f"open({str(canary)!r}, 'w').close()")


def shell(canary: Path) -> bytes:
    return text(f"touch {canary}")


def memmap_arguments(canary: Path) -> bytes:
    return b"(" + text(str(canary)) + text("u1") + text("w+") + b"K\x00K\x08\x85t"


def reduced(value: object) -> bytes:
    return pickle.dumps({"w": value}, protocol=2)


Builder = Callable[[Path], bytes]
LIVE: dict[str, Builder] = {
    "system call by GLOBAL": lambda c: entry(call(named("posix", "system"), shell(c))),
    "system call by STACK_GLOBAL": lambda c: PROTO4 + call(stack_named("posix", "system"), shell(c)) + STOP,
    "system call beside a good array": lambda c: (
        PROTO2 + b"}(" + text("w") + array() + text("v") + call(named("os", "system"), shell(c)) + b"u" + STOP
    ),
    "system call as a dict's key": lambda c: (
        PROTO2 + b"}" + call(named("os", "system"), shell(c)) + array() + b"s" + STOP
    ),
    "system call dropped again by POP": lambda c: (
        PROTO2 + call(named("os", "system"), shell(c)) + b"0}" + text("w") + array() + b"s" + STOP
    ),
    "system call in the bookkeeping entry": lambda c: entry(
        call(named("os", "system"), shell(c)), "StructuredToParameterName@@"
    ),
    "system call after the memo hid it": lambda c: (
        PROTO2 + named("os", "system") + b"q\x070}" + text("w") + call(b"h\x07", shell(c)) + b"s" + STOP
    ),
    "Popen": lambda c: entry(named("subprocess", "Popen") + b"(](" + text("touch") + text(str(c)) + b"etR"),
    "a file written by NEWOBJ": lambda c: entry(named("numpy", "memmap") + memmap_arguments(c) + b"\x81"),
    "a file written by NEWOBJ_EX": lambda c: (
        PROTO4 + stack_named("numpy", "memmap") + memmap_arguments(c) + b"}\x92" + STOP
    ),
    "system call by INST": lambda c: entry(b"(" + shell(c) + b"iposix\nsystem\n"),
    "system call by OBJ": lambda c: entry(b"(" + named("posix", "system") + shell(c) + b"o"),
    "eval": lambda c: entry(call(named("builtins", "eval"), python(c))),
    "exec": lambda c: entry(call(named("builtins", "exec"), python(c))),
    "exec under its Python 2 name": lambda c: entry(call(named("__builtin__", "eval"), python(c))),
    "open for writing": lambda c: entry(call(named("builtins", "open"), text(str(c)), text("w"))),
    "dotted name": lambda c: PROTO4 + call(stack_named("posixpath", "os.system"), shell(c)) + STOP,
    "numpy saves a file": lambda c: entry(call(named("numpy", "save"), text(f"{c}.npy"), b"K\x01")),
    "numpy writes a file": lambda c: entry(named("numpy", "memmap") + memmap_arguments(c) + b"R"),
    "pickle within a pickle": lambda c: entry(
        call(named("pickle", "loads"), b"B" + struct.pack("<I", len(_inner(c))) + _inner(c))
    ),
    "object array with a system call": lambda c: reduced(_ObjectArray(c)),
    "protocol 0": lambda c: b"cposix\nsystem\n(S'touch " + str(c).encode() + b"'\ntR.",
    "protocol 1": lambda c: b"cposix\nsystem\n(" + shell(c) + b"tR.",
    "protocol 5": lambda c: b"\x80\x05" + call(stack_named("posix", "system"), shell(c)) + STOP,
    "no protocol, then a system call": lambda c: (
        b"}" + text("w") + call(named("posix", "system"), shell(c)) + b"s" + STOP
    ),
    "a partial of a system call": lambda c: entry(
        call(call(named("functools", "partial"), named("posix", "system"), shell(c)))
    ),
    "an attribute getter reaches a call": lambda c: entry(
        call(call(named("operator", "methodcaller"), text("touch")), call(named("pathlib", "PosixPath"), text(str(c))))
    ),
}


class _ObjectArray:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return np.array, ([_Touch(self.canary)], "O")


class _Touch:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (f"touch {self.canary}",)


def _inner(canary: Path) -> bytes:
    return PROTO2 + call(named("posix", "system"), shell(canary)) + STOP


def _nested_tuples(depth: int) -> bytes:
    return entry(b")" + b"\x85" * depth)


def _laughs(levels: int) -> bytes:
    return entry(text("ha") + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(levels)))


def _zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
    return buffer.getvalue()


def _with_slices(slices: list[str], shape: tuple[int, ...], **arrays: np.ndarray) -> bytes:
    info = {"big": {"OriginShape": shape, "slices": slices}}
    return pickle.dumps({**{k.replace("_at_", "@@."): v for k, v in arrays.items()}, "UnpackBigParamInfor@@": info}, 2)


_ONE = np.ones(1, dtype=np.float32)
_TWO = np.ones(2, dtype=np.float32)
_MEGABYTE = text("x" * 2**20)

DEAD: dict[str, tuple[bytes, str]] = {
    # protocol tricks
    "computed name, by a call": (
        PROTO4 + call(named("_codecs", "encode"), text("os"), text("latin1")) + text("system") + b"\x93" + STOP,
        "computes the name",
    ),
    "computed name, a tuple": (PROTO4 + text("os") + b"\x85" + text("system") + b"\x93" + STOP, "computes the name"),
    "EXT1": (entry(b"\x82\x01"), "0x82"),
    "EXT4": (entry(b"\x84\x01\x00\x00\x00"), "0x84"),
    "persistent id": (entry(b"K\x01Q"), "0x51"),
    "persistent id of protocol 0": (entry(b"Pevil\n"), "0x50"),
    "out-of-band buffer": (entry(b"\x97"), "0x97"),
    "duplicate on the stack": (entry(array() + b"2"), "0x32"),
    "a set": (entry(b"\x8f"), "0x8f"),
    "state on a class": (entry(NDARRAY + b"}" + text("x") + b"K\x01sb"), "sets the state"),
    "state on a tuple, with slots": (entry(b")" + b"}}\x86b"), "sets the state"),
    "state on an array twice": (
        entry(array() + b"(K\x01K\x01\x85" + dtype() + b"\x89C\x04\x00\x00\x80?tb"),
        "another way",
    ),
    "codec that unpacks": (
        entry(call(named("_codecs", "encode"), text("x"), text("zip"))),
        "encodes text in another way",
    ),
    "decoder instead of encoder": (
        entry(call(named("_codecs", "decode"), text("x"), text("zip"))),
        "no file of arrays",
    ),
    "bytes of a size": (entry(call(named("builtins", "bytes"), number(2**40))), "it calls 'bytes'"),
    "allowed class called as a function": (entry(call(NDARRAY, b"K\x05\x85")), "it calls 'ndarray'"),
    "tuple of a list": (entry(call(named("builtins", "tuple"), b"]")), "no tuple"),
    "OrderedDict with arguments": (entry(call(named("collections", "OrderedDict"), b"]")), "it calls 'OrderedDict'"),
    "near miss of an allowed name": (entry(named("numpy.core.multiarray", "_reconstruct ")), "no file of arrays"),
    "allowed name in another module": (entry(named("evil.numpy", "ndarray")), "no file of arrays"),
    "dotted path inside an allowed one": (
        PROTO4 + stack_named("numpy", "_core.multiarray._reconstruct") + STOP,
        "no file of arrays",
    ),
    "numpy's pickled scalar": (
        entry(call(named("numpy._core.multiarray", "scalar"), dtype("f8"))),
        "no file of arrays",
    ),
    "subclass in _reconstruct": (
        entry(call(RECONSTRUCT, named("numpy", "dtype"), b"K\x00\x85", b"C\x01b")),
        "other than a plain numpy array",
    ),
    # element types
    "object dtype": (
        entry(array(element=call(named("numpy", "dtype"), text("O8"), b"\x89", b"\x88"))),
        "no plain number",
    ),
    "text dtype": (
        entry(array(element=call(named("numpy", "dtype"), text("U1"), b"\x89", b"\x88"))),
        "no plain number",
    ),
    "structured dtype": (
        entry(
            array(
                element=dtype(
                    state=b"(K\x03" + text("<") + b"N(" + text("f") + b"t}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
                )
            )
        ),
        "structured, object or big-endian",
    ),
    "big-endian dtype": (entry(array(element=dtype(state=DTYPE_STATE.replace(b"<", b">")))), "big-endian"),
    "dtype flags of objects": (entry(array(element=dtype(state=DTYPE_STATE[:-3] + b"\x3ftb"))), "structured, object"),
    "list as an array's content": (entry(array(data=b"](K\x01K\x02e")), "not bytes"),
    # size
    "claims a petabyte": (entry(b"\x8e" + struct.pack("<Q", 2**50)), "claims 1125899906842624 bytes"),
    "frame longer than the file": (PROTO4 + b"\x95" + struct.pack("<Q", 2**40) + b"}.", "a frame claims"),
    "huge shape": (entry(array(shape=number(2**40) + b"\x85")), "claims 4398046511104 bytes and holds 4"),
    "negative shape": (entry(array(shape=number(-1) + b"\x85")), "no short tuple of sizes"),
    "shape that overflows": (entry(array(shape=number(2**62) + number(2**62) + b"\x86")), "claims 850705917302"),
    "a hundred dimensions": (entry(array(shape=b"(" + b"K\x01" * 100 + b"t")), "no short tuple of sizes"),
    "huge whole number": (entry(b"\x8a\xff" + b"\xff" * 255), "whole number of 255 bytes"),
    "memo bomb": (entry(array() + b"r\xff\xff\xff\xff"), "under the number 4294967295"),
    "nested tuples": (_nested_tuples(100_000), "not a whole array"),
    "doubling tuples": (_laughs(200), "not a whole array"),
    "nested groups": (PROTO2 + b"(" * 100_000, "nests more than"),
    "flooded stack": (PROTO2 + b"N" * 300_000, "wait on its stack"),
    "endless operations": (PROTO2 + b"}" + (text("a") + b"Nq\x00h\x00}") * 700_000, "more than 2"),
    "one text encoded again and again": (
        PROTO2
        + _MEGABYTE
        + b"q\x00}("
        + b"".join(text(f"k{i}") + call(named("_codecs", "encode"), b"h\x00", text("latin1")) for i in range(300))
        + b"u"
        + STOP,
        "again and again",
    ),
    "one array under many names": (
        PROTO2
        + b"}("
        + text("k")
        + array(number(2**20) + b"\x85", b"B" + struct.pack("<I", 2**22) + bytes(2**22))
        + b"q\x05"
        + b"".join(text(f"k{i}") + b"h\x05" for i in range(1000))
        + b"u"
        + STOP,
        "more bytes than the file has",
    ),
    "overlong global name": (PROTO2 + b"c" + b"a" * 10_000 + b"\nb\n", "overlong name"),
    # truncation and rubbish
    "empty": (b"", "empty"),
    "one byte": (b"\x80", "does not begin as a pickle"),
    "cut inside an array": (entry(array())[:-12], "cut short|claims"),
    "cut inside an opcode": (PROTO2 + b"}X\x05\x00", "claims"),
    "cut before STOP": (entry(array())[:-1], "cut short"),
    "a zip archive": (_zip(), "does not begin as a pickle"),
    "text": (b"<html>404</html>", "does not begin as a pickle"),
    "second pickle behind the first": (entry(array()) + entry(array()), "follow its end"),
    "stack left over": (PROTO2 + b"N" + entry(array())[2:], "exactly one value"),
    "group never opened": (PROTO2 + b"u.", "never opened"),
    "pops below a group": (PROTO2 + b"}(s.", "more from its stack"),
    "recalls what it never stored": (entry(b"h\x09"), "recalls value 9"),
    "text that is not UTF-8": (entry(b"X\x02\x00\x00\x00\xff\xfe"), "not UTF-8"),
    "array never filled": (entry(call(RECONSTRUCT, NDARRAY, b"K\x00\x85", b"C\x01b")), "not a whole array"),
    # names and structure
    "key twice": (PROTO2 + b"}(" + text("w") + array() + text("w") + array() + b"u" + STOP, "comes twice"),
    "path as a name": (entry(array(), "../../../tmp/evil"), "not one of a parameter"),
    "control characters in a name": (entry(array(), "a\nb\x1b[31m"), "not one of a parameter"),
    "the safetensors header's own name": (entry(array(), "__metadata__"), "not one of a parameter"),
    "overlong key": (entry(array(), "k" * 5000), "not one of a parameter"),
    "no text as a key": (PROTO2 + b"}K\x01" + array() + b"s" + STOP, "not text"),
    "unhashable key": (PROTO2 + b"}]" + array() + b"s" + STOP, "not text"),
    "no dict at the top": (PROTO2 + b"]" + array() + b"a" + STOP, "not a dict"),
    "dict within the dict": (entry(b"}" + text("x") + array() + b"s"), "not a whole array"),
    "whole number as a value": (entry(b"K\x07"), "not a whole array"),
    "nothing in it": (PROTO2 + b"}.", "no arrays"),
    "slice over a real parameter": (_with_slices(["big@@.0"], (1,), big_at_0=_ONE, big=_ONE), "once"),
    "slice used twice": (_with_slices(["big@@.0", "big@@.0"], (2,), big_at_0=_ONE), "do not fit together"),
    "slice that is not there": (_with_slices(["big@@.0", "big@@.1"], (2,), big_at_0=_ONE), "not all there"),
    "slices that do not fill the shape": (_with_slices(["big@@.0"], (2**40,), big_at_0=_TWO), "do not fill its shape"),
    "slices that are no list": (pickle.dumps({"w": _ONE, "UnpackBigParamInfor@@": {"w2": 3}}, 2), "no list of slices"),
}


def refused(tmp_path: Path, content: bytes) -> ModelError:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "evil.pdparams").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_pdparams(folder / "evil.pdparams")
    assert sorted(path.name for path in folder.iterdir()) == ["evil.pdparams"]
    assert (folder / "evil.pdparams").read_bytes() == content
    message = caught.value.message
    assert message.startswith("refused 'evil.pdparams': ")
    assert message.isprintable()
    assert len(message) < 400
    assert caught.value.hint
    return caught.value


@pytest.mark.skipif(sys.platform == "win32", reason="the payloads are POSIX shell commands")
@pytest.mark.parametrize("name", sorted(LIVE))
def test_a_live_attack_does_nothing(tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    content = LIVE[name](canary)
    refused(tmp_path, content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    # and it is no dud: Python's own reader falls for it
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))",
            tmp_path / "in" / "evil.pdparams",
        ],
        capture_output=True,
        check=False,
    )
    assert any(path.name.startswith("canary") for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(DEAD))
def test_a_malformed_file_is_refused_for_its_own_reason(tmp_path: Path, name: str) -> None:
    content, reason = DEAD[name]
    assert re.search(reason, refused(tmp_path, content).message)


def test_the_parts_of_the_corpus_are_sound(tmp_path: Path) -> None:
    """The good array that the attacks are built around is read: they are refused for their attack alone."""
    (tmp_path / "good.pdparams").write_bytes(entry(array()))
    assert read_pdparams(tmp_path / "good.pdparams")["w"].tolist() == [1.0]
