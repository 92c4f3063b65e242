"""Images as so many bytes of larger files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..images import UnreadableImage, decode_rgb, read_orientation
from ..listing import PathTable, describe_left_out
from ..reading import Reading
from ..sources import ImageSource

_MAX_OPEN = 64  # files that a process holds open: far below the usual limit of 1,024, whatever the workers


@dataclass(frozen=True)
class Extents:
    """Where the images of a split lie.

    Attributes:
        files: Paths of the files.
        file: int32, (N,): which of them an image lies in.
        offset: int64, (N,): where it begins, bytes.
        size: int64, (N,): how long it is, bytes.
        labels: int64, (N,); -1 where there is none.
        names: What each is called, such as ``"cat/7.jpg"``.
        left_out: What lies beside them and is no image; see `FolderEntries`.
    """

    files: tuple[str, ...]
    file: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    labels: np.ndarray
    names: PathTable
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


class ExtentSource(ImageSource):
    """A split whose images are bytes of larger files.

    Args:
        name, split, class_names, path: As `ImageSource` has them.
        extents: Where the images lie.
        labels: In place of the extents' own.
    """

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        extents: Extents,
        *,
        labels: np.ndarray | None = None,
        path: Path | None = None,
    ) -> None:
        super().__init__(name, split, class_names, extents.labels if labels is None else labels, path=path)
        self.left_out = dict(extents.left_out)
        self.sizes = extents.size
        self._extents = extents
        self._files = _OpenFiles(extents.files)
        if said := describe_left_out(self.left_out):
            self.notes = (f"{path or name}: {said}",)

    def encoded(self, index: int) -> bytes:
        extents, which = self._extents, int(self._extents.file[index])
        size = int(extents.size[index])
        try:
            content = self._files.read(which, int(extents.offset[index]), size)
        except OSError as error:
            raise UnreadableImage(self._named(index), (error.strerror or str(error)).lower()) from None
        if len(content) < size:
            raise UnreadableImage(self._named(index), "its file was cut short since it was indexed")
        return content

    def load(self, index: int) -> Image.Image:
        return decode_rgb(self.encoded(index), self._named(index), self.reading)

    def orientation(self, index: int) -> int:
        return read_orientation(io.BytesIO(self.encoded(index)))

    def read_as(self, reading: Reading) -> None:
        self.reading = reading

    def identity(self, index: int) -> str:
        return self._extents.names[index]

    def _named(self, index: int) -> str:
        """Where an image lies, for errors."""
        return f"{self._extents.files[int(self._extents.file[index])]}: {self.identity(index)}"


class _OpenFiles:
    """Files that are read at places, never at a position of their own, which forked processes would share.

    Each process opens its own: after a fork, or unpickled, none is open.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths, self._open, self._owner = tuple(paths), dict[int, BinaryIO](), os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"_paths": self._paths, "_open": {}, "_owner": -1}

    def read(self, which: int, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; fewer where the file ends before."""
        if self._owner != os.getpid():
            self._close()
            self._owner = os.getpid()
        file = self._open.pop(which, None)
        if file is None:
            while len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            file = open(self._paths[which], "rb", buffering=0)  # noqa: SIM115 (kept open)
        self._open[which] = file  # the one that was used last stands last
        return os.pread(file.fileno(), size, offset)

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open = {}

    def __del__(self) -> None:
        self._close()
