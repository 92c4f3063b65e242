"""The index of a set of shards: made once, kept under KDZOO_HOME, made again when a file of the set has changed."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import DataError
from ...base.home import kdzoo_home
from ...base.writing import write_arrays
from ..listing import PathTable
from .extents import Extents

_FORMAT = 1
_ARRAYS = ("file", "offset", "size", "labels", "bytes", "ends")


class Found:
    """Images as they are come upon, before they are sorted.

    Attributes:
        files: Paths of the files that they lie in.
        left_out: As `Extents` has it.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files, self.left_out = tuple(files), Counter[str]()
        self._names: list[str] = []
        self._numbers = array("q")  # label, number of the file, offset, size of each

    def add(self, name: str, label: int, file: int, offset: int, size: int) -> None:
        """The next image."""
        self._names.append(name)
        self._numbers.extend((label, file, offset, size))

    def sorted(self) -> Extents:
        """By label, then by name: the order of class folders.

        Raises:
            DataError: Two images have one name.
        """
        names = self._names
        numbers = np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, 4)
        order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        for before, after in itertools.pairwise(order.tolist()):
            if names[before] == names[after]:
                where = (self.files[numbers[row, 1]] for row in (before, after))
                raise DataError(
                    f"{names[before]} is there twice: {' and '.join(where)}",
                    hint="remove the shard that is there twice, or give each image a name of its own",
                )
        order = order[np.argsort(numbers[order, 0], kind="stable")]
        labels, file, offset, size = numbers[order].T.copy()
        table = PathTable([names[row] for row in order.tolist()])
        return Extents(self.files, file.astype(np.int32), offset, size, labels, table, self.left_out)


@dataclass(frozen=True)
class ShardIndex:
    """What is known of a set of shards.

    Attributes:
        splits: Number of images of each split, by its name; ``"all"`` where the set has no splits.
        class_names: In label order, where the set says them.
        load: Reads a split's extents.
    """

    splits: Mapping[str, int]
    class_names: tuple[str, ...] | None
    load: Callable[[str], Extents]


def stamp(paths: Sequence[str | Path]) -> list[list[Any]]:
    """Path, size and time of change (ns) of files: what tells that one was replaced.

    Raises:
        OSError: One is not there.
    """
    found = [(str(path), os.stat(path)) for path in paths]
    return [[path, status.st_size, status.st_mtime_ns] for path, status in found]


def cached_index(
    key: str, sources: list[list[Any]], build: Callable[[], tuple[Mapping[str, Found], Sequence[str] | None]]
) -> ShardIndex:
    """The index of a set, from the cache where that is still right.

    Args:
        key: Names the set among all others.
        sources: `stamp` of the files that it is made from.
        build: Makes it: what was found of each split, and the class names.

    Raises:
        RunError: It cannot be written.
    """
    place = kdzoo_home() / "shards" / f"{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()[:32]}.index"
    about = _read_about(place, sources)
    if about is None:
        found, class_names = build()
        arrays: dict[str, np.ndarray] = {}
        splits = {}
        for name in sorted(found):
            extents = found[name].sorted()
            own = dict(zip(_ARRAYS, _arrays_of(extents), strict=True))
            arrays |= {f"{name}/{array}": content for array, content in own.items()}
            splits[name] = {
                "num_images": len(extents),
                "files": stamp(extents.files),
                "left_out": dict(extents.left_out),
                "crc32": _checksum(own.values()),
            }
        names = None if class_names is None else list(class_names)
        about = {"format": _FORMAT, "sources": sources, "class_names": names, "splits": splits}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        write_arrays(place, arrays, option="KDZOO_HOME")
    names = about["class_names"]
    return ShardIndex(
        {name: split["num_images"] for name, split in about["splits"].items()},
        None if names is None else tuple(names),
        lambda split: _load(place, split, about["splits"][split]),
    )


def _read_about(place: Path, sources: list[list[Any]]) -> dict[str, Any] | None:
    """What an index says of itself; None where there is none, or a file has changed since it was made."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="numpy") as file:
            about: dict[str, Any] = json.loads(file.get_tensor("about").tobytes())
        fresh = about["format"] == _FORMAT and about["sources"] == sources
        for split in about["splits"].values() if fresh else ():
            fresh = fresh and split["files"] == stamp([path for path, *_ in split["files"]])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    return about if fresh else None


def _load(place: Path, split: str, about: Mapping[str, Any]) -> Extents:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="numpy") as file:
            arrays = {name: file.get_tensor(f"{split}/{name}") for name in _ARRAYS}
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read the index {place}: {error}", hint="remove it: it is made again") from None
    if _checksum(arrays.values()) != about["crc32"]:
        raise DataError(f"the index {place} is damaged", hint="remove it: it is made again")
    *numbers, text, ends = arrays.values()
    file_number, offset, size, labels = numbers
    files = tuple(path for path, *_ in about["files"])
    names = PathTable.packed(text.tobytes(), ends)
    return Extents(files, file_number, offset, size, labels, names, about["left_out"])


def _arrays_of(extents: Extents) -> tuple[np.ndarray, ...]:
    text, ends = extents.names.unpacked()
    return extents.file, extents.offset, extents.size, extents.labels, np.frombuffer(text, dtype=np.uint8), ends


def _checksum(arrays: Iterable[np.ndarray]) -> int:
    checksum = 0
    for one in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(one).data, checksum)
    return checksum
