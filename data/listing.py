"""Listing folders of images: linear in the number of files, in one fixed order, compact in memory."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError
from .images import IMAGE_EXTENSIONS


class PathTable(Sequence[str]):
    """Millions of relative paths in one block of bytes.

    A list of strings would be copied into each loader worker page by page, as reference counts are touched.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([len(path) for path in encoded], dtype=np.int64)

    @classmethod
    def packed(cls, text: bytes, ends: np.ndarray) -> PathTable:
        """A table from what `unpacked` gave."""
        table = cls(())
        table._bytes, table._ends = text, ends
        return table

    def unpacked(self) -> tuple[bytes, np.ndarray]:
        """All paths, one after the other, and where each ends."""
        return self._bytes, self._ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not 0 <= index < len(self._ends):
            raise IndexError(index)
        start = int(self._ends[index - 1]) if index else 0
        return os.fsdecode(self._bytes[start : int(self._ends[index])])

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))


_JUNK_FOLDERS = frozenset(
    {"__MACOSX", "__pycache__", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Folders that archivers and file systems leave behind; hidden ones are never looked into anyway."""

_SHOWN_KINDS = 6

Inode = tuple[int, int]


@dataclass
class FolderEntries:
    """What lies directly in one folder; hidden files and folders are not in it.

    Attributes:
        folders: Names of folders, and of links to folders.
        images: Names of files with an image's extension.
        tables: Names of ``.csv`` and ``.tsv`` files.
        left_out: How many others than images there are, by what they are: an extension in lower case, ``""`` for none,
            the name of a folder that an archiver left behind, or words such as ``named pipe``.
        special: (name, what it is) of everything that should be an image or a folder of images, and is no regular file:
            never opened, as reading from it may never end.
    """

    folders: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    special: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Listing:
    """What a folder holds, whatever the depth.

    Attributes:
        paths: Images, relative to the folder, with ``/`` between their parts, sorted.
        left_out, special: As `FolderEntries` has them.
    """

    paths: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    special: list[tuple[str, str]] = field(default_factory=list)


def read_folder(folder: str | Path) -> FolderEntries:
    """What lies directly in a folder. Links are followed; nothing is opened.

    Raises:
        DataError: The folder cannot be read.
    """
    found = FolderEntries()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    _sort_in(entry, found)
    except OSError as error:
        raise unreadable_folder(folder, error) from None
    return found


def _sort_in(entry: os.DirEntry[str], found: FolderEntries) -> None:
    extension = os.path.splitext(entry.name)[1].lower()
    special = None
    try:
        if entry.is_dir():
            if entry.name in _JUNK_FOLDERS:
                found.left_out[f"{entry.name}/"] += 1
            else:
                found.folders.append(entry.name)
            return
        if not entry.is_file():
            special = _special_kind(entry)
    except OSError:  # too many links one after the other
        special = "a link that leads in a circle"
    if extension in IMAGE_EXTENSIONS:
        if special is None:
            found.images.append(entry.name)
        else:
            found.special.append((entry.name, special))
    elif special is not None and not extension and special.startswith("a link"):
        found.special.append((entry.name, special))  # it may stand for a folder of images
    elif special is not None:
        found.left_out[special.partition(" ")[2]] += 1
    else:
        found.left_out[extension] += 1
        if extension in (".csv", ".tsv"):
            found.tables.append(entry.name)


def _special_kind(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "a link to nothing" if entry.is_symlink() else "a file that went away"
    kinds = {stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def list_images(root: Path) -> Listing:
    """Every image under a folder, whatever the depth; see `walk`.

    Raises:
        DataError: As `walk`; or an image is no regular file.
    """
    listing = list_everything(root)
    refuse_special(root, listing.special)
    return listing


def list_everything(root: Path, elsewhere: Mapping[Inode, str] | None = None) -> Listing:
    """As `list_images`, with what is no regular file among the rest; the arguments and errors are those of `walk`."""
    listing = Listing()
    for prefix, found in walk(root, elsewhere):
        listing.paths += [prefix + name for name in found.images]
        listing.left_out += found.left_out
        listing.special += [(prefix + name, what) for name, what in found.special]
    listing.paths.sort()
    return listing


def walk(root: str | Path, elsewhere: Mapping[Inode, str] | None = None) -> Iterator[tuple[str, FolderEntries]]:
    """A folder and all folders below it: the path from the root to each, with ``/`` at its end, and what it holds.

    Links to folders are followed, a folder that is met twice is given once, hidden folders are left out.

    Args:
        root: The folder.
        elsewhere: By `read_inode`, folders whose images are not this one's, and what to call each; may have the root.

    Raises:
        DataError: A folder cannot be read, or a link leads to one of ``elsewhere``.
    """
    visited: set[Inode] = set()
    pending = [""]
    while pending:
        prefix = pending.pop()
        folder = os.path.join(root, prefix).rstrip("/") or "/"
        inode = read_inode(folder)
        if inode in visited:
            continue
        if prefix and elsewhere is not None and inode in elsewhere:
            raise DataError(
                f"{folder} is a link to {elsewhere[inode]}: its images would count twice", hint="remove the link"
            )
        visited.add(inode)
        found = read_folder(folder)
        pending += [f"{prefix}{name}/" for name in sorted(found.folders, reverse=True)]
        yield prefix, found


def read_inode(folder: str | Path) -> Inode:
    """What tells a folder from every other one, under whichever name it is met.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        status = os.stat(folder)
    except OSError as error:
        raise unreadable_folder(folder, error) from None
    return status.st_dev, status.st_ino


def refuse_special(root: str | Path, special: Sequence[tuple[str, str]]) -> None:
    """Raises DataError where there is any; the arguments are as `FolderEntries` has them."""
    if not special:
        return
    shown = first_few([f"{os.path.join(root, name)} is {what}" for name, what in sorted(special)], 3)
    raise DataError(f"not an image file: {shown}", hint="remove it, or put the image itself there")


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """``3 files left out: 2 .heic, 1 without an extension``; an empty text where none was."""
    counts = {kind: count for kind, count in left_out.items() if not kind.endswith("/")}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {_kind_name(kind)}" for kind, count in ranked[:_SHOWN_KINDS]]
    if len(ranked) > _SHOWN_KINDS:
        parts.append(f"{sum(count for _, count in ranked[_SHOWN_KINDS:]):,} of other kinds")
    parts += sorted(kind for kind in left_out if kind.endswith("/"))
    if not parts:
        return ""
    total = sum(counts.values())
    return f"{total:,} file{'' if total == 1 else 's'} left out: {', '.join(parts)}"


def _kind_name(kind: str) -> str:
    if not kind:
        return "without an extension"
    return kind if kind.isprintable() and len(kind) <= 40 else ascii(kind)[1:-1][:40]


def list_folders(root: Path) -> list[str]:
    """Names of the folders in a folder, in class order; hidden ones and those of archivers are left out.

    Raises:
        DataError: The folder cannot be read, or a link in it leads nowhere.
    """
    found = read_folder(root)
    refuse_special(root, found.special)
    return class_order(found.folders)


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
    return bool(read_folder(folder).images)


def unreadable_folder(folder: str | Path, error: OSError) -> DataError:
    """The error for a folder that cannot be listed."""
    reason = (error.strerror or str(error)).lower()
    return DataError(f"cannot read the folder {folder}: {reason}", hint="check the path and its permissions")
