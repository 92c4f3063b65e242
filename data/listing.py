"""Listing folders of images: linear in the number of files, in one fixed order, compact in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from .images import IMAGE_EXTENSIONS


class PathTable(Sequence[str]):
    """Millions of relative paths in one block of bytes.

    A list of strings would be copied into each loader worker page by page, as reference counts are touched.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([len(path) for path in encoded], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not 0 <= index < len(self._ends):
            raise IndexError(index)
        start = int(self._ends[index - 1]) if index else 0
        return os.fsdecode(self._bytes[start : int(self._ends[index])])

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))


@dataclass
class Listing:
    """What a folder holds.

    Attributes:
        paths: Images, relative to the folder, with ``/`` between their parts, sorted.
        num_ignored: Files left out because their extension is no image's; hidden files are not counted.
    """

    paths: list[str] = field(default_factory=list)
    num_ignored: int = 0


def list_images(root: Path) -> Listing:
    """Every image under a folder, whatever the depth.

    Links to files and folders are followed, a folder that is met twice is listed once, hidden files and folders and
    files with other extensions are left out.

    Raises:
        DataError: The folder cannot be read.
    """
    listing = Listing()
    _walk(os.fspath(root), "", listing, set())
    listing.paths.sort()
    return listing


def _walk(folder: str, prefix: str, listing: Listing, visited: set[tuple[int, int]]) -> None:
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        subfolders = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    subfolders.append(entry.name)
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_EXTENSIONS:
                    listing.paths.append(prefix + entry.name)
                else:
                    listing.num_ignored += 1
    except OSError as error:
        raise unreadable_folder(folder, error) from None
    for name in sorted(subfolders):
        _walk(os.path.join(folder, name), f"{prefix}{name}/", listing, visited)


def list_folders(root: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out, in class order."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise unreadable_folder(root, error) from None
    return class_order(names)


def class_order(names: Sequence[str]) -> list[str]:
    """The order of class folders.

    That of their names, as torchvision's and timm's; names that are all numbers are ordered as numbers (ImageNetV2's
    folders 0..999).
    """
    if all(name.isascii() and name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def has_images(folder: Path) -> bool:
    """Whether images lie directly in a folder."""
    return count_images(folder, at_most=1) > 0


def count_images(folder: Path, at_most: int | None = None) -> int:
    """How many images lie directly in a folder; counting stops at ``at_most``."""
    count = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in IMAGE_EXTENSIONS:
                    count += 1
                    if count == at_most:
                        break
    except OSError as error:
        raise unreadable_folder(folder, error) from None
    return count


def unreadable_folder(folder: str | Path, error: OSError) -> DataError:
    """The error for a folder that cannot be listed."""
    reason = (error.strerror or str(error)).lower()
    return DataError(f"cannot read the folder {folder}: {reason}", hint="check the path and its permissions")
