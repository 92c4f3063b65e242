"""The images under a folder of any size: their paths lie in a file, sorted, and only the one asked for in memory."""

from __future__ import annotations

import heapq
import itertools
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from PIL import Image

from ...base.errors import DataError
from ...base.writing import open_scratch
from ..images import read_rgb
from ..listing import refuse_special, walk
from ..reading import AS_STORED, Reading

_RUN = 65_536  # paths that are sorted in memory at once
_END = b"\0"  # between paths: the one byte that no path holds


class ListedImages:
    """What `list_to_file` wrote, one path at a time.

    Args:
        root: The folder that the paths are relative to.
        listing: The file with the paths; beside it, at ``offsets_path``, lies where each begins.
        reading: How the files become images.
    """

    def __init__(self, root: Path, listing: Path, reading: Reading = AS_STORED) -> None:
        self.root, self.reading = root, reading
        self._listing, self._offsets = os.fspath(listing), os.fspath(offsets_path(listing))
        self._count = os.path.getsize(self._offsets) // 8 - 1

    def __len__(self) -> int:
        return self._count

    def identity(self, index: int) -> str:
        """The path relative to the root."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        with open(self._offsets, "rb") as offsets, open(self._listing, "rb") as listing:
            offsets.seek(8 * index)
            start, end = struct.unpack("<2q", offsets.read(16))
            listing.seek(start)
            return os.fsdecode(listing.read(end - start - 1))

    def load(self, index: int) -> Image.Image:
        """The image, RGB.

        Raises:
            UnreadableImage: The file cannot be decoded.
        """
        path = f"{self.root}/{self.identity(index)}"
        return read_rgb(path, path, self.reading)


def offsets_path(listing: Path) -> Path:
    """The file beside a listing that says where each of its paths begins: int64, one more than there are paths."""
    return listing.with_suffix(".offsets")


def list_to_file(root: Path, listing: Path, left_out: Counter[str] | None = None) -> int:
    """Write the relative path of every image under a folder to a file, in byte order.

    Sorted by merging runs on disk. Links are followed, a folder that is met twice is listed once; hidden files and
    other extensions are left out.

    Args:
        root: The folder.
        listing: Where to.
        left_out: Gets how many files are no images here, by extension.

    Returns:
        The number of images.

    Raises:
        DataError: There is no image, a folder cannot be read, or an image is no regular file.
    """
    special: list[tuple[str, str]] = []
    count = position = 0
    with ExitStack() as stack:
        runs: list[IO[bytes]] = []
        paths = _images(root, Counter() if left_out is None else left_out, special)
        while run := sorted(os.fsencode(path) for path in itertools.islice(paths, _RUN)):
            runs.append(stack.enter_context(tempfile.TemporaryFile(dir=listing.parent)))  # without a name
            runs[-1].write(_END.join(run) + _END)
            runs[-1].seek(0)
        del run
        merged = heapq.merge(*map(_read_run, runs))
        output = stack.enter_context(open_scratch(listing))
        offsets = stack.enter_context(open_scratch(offsets_path(listing)))
        offsets.write(struct.pack("<q", 0))
        for name in merged:
            output.write(name + _END)
            position += len(name) + 1
            offsets.write(struct.pack("<q", position))
            count += 1
    refuse_special(root, special)
    if count == 0:
        raise DataError(
            f"no images under {root}",
            hint="give a folder that holds images (JPEG, PNG, WebP, …), at any depth",
        )
    return count


def _read_run(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(65_536):
        *names, rest = (rest + block).split(_END)
        yield from names


def _images(root: Path, left_out: Counter[str], special: list[tuple[str, str]]) -> Iterator[str]:
    """Relative paths, in no particular order; what is no image is added to the last two."""
    for prefix, found in walk(root):
        left_out.update(found.left_out)
        special += [(prefix + name, what) for name, what in found.special]
        yield from (prefix + name for name in found.images)
