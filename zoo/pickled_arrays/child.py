"""The process that reads: from a `.pdparams` file to safetensors, with memory, time and output limited."""

from __future__ import annotations

import json
import mmap
import struct
import sys
from typing import Any, BinaryIO

from .paddle_layout import read_arrays
from .records import ELEMENT_TYPES, Array, RefusedError


def write_safetensors(arrays: dict[str, Array], file: BinaryIO) -> None:
    """Write arrays in the safetensors format; a Fortran-ordered one goes reversed, its name listed in the metadata."""
    header: dict[str, Any] = {
        "__metadata__": {"reversed": json.dumps([k for k, a in arrays.items() if a.fortran_order and len(a.shape) > 1])}
    }
    offset = 0
    for key, array in arrays.items():
        end = offset + len(array.data)
        shape = array.shape[::-1] if array.fortran_order else array.shape
        header[key] = {
            "dtype": ELEMENT_TYPES[array.element.code][0],
            "shape": list(shape),
            "data_offsets": [offset, end],
        }
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(struct.pack("<Q", len(encoded)))
    file.write(encoded)
    for array in arrays.values():
        file.write(array.data)


def limit_this_process(source_bytes: int, cpu_seconds: int) -> None:
    """Cap memory, processor time, output size, open files and new processes (where the system can)."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    memory = 4 * source_bytes + 256 * 2**20
    for name, limit in (
        ("RLIMIT_AS", memory),
        ("RLIMIT_CPU", cpu_seconds),
        ("RLIMIT_FSIZE", source_bytes + 64 * 2**20),
        ("RLIMIT_NOFILE", 16),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is not None:
            _, hard = resource.getrlimit(kind)
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(kind, (limit, limit))


def main(source: str, target: str, cpu_seconds: int) -> int:
    """Convert one file under limits; print one line and return 3 when it is refused."""
    try:
        with open(source, "rb") as file:
            size = file.seek(0, 2)
            limit_this_process(size, cpu_seconds)
            if size == 0:
                raise RefusedError("it is empty")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # the arrays point into it until the end
        arrays = read_arrays(memoryview(mapped))
        with open(target, "wb") as out:
            write_safetensors(arrays, out)
        sys.stdout.write(f"{len(arrays)} arrays\n")
        return 0
    except RefusedError as error:
        sys.stdout.write(f"{error}\n")
    except MemoryError:
        sys.stdout.write("it needs more memory than a file of its size may\n")
    return 3
