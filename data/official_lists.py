"""What the readers of published data sets share: text files that list images, and what to say when they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError
from .listing import list_images
from .sources import FileSource


def find_root(path: Path, folders: Sequence[str], marker: str) -> Path | None:
    """The first of some folders below (or at) a path that holds a file or folder.

    Args:
        path: What the user named.
        folders: Relative to it, ``"."`` for itself, the likeliest first.
        marker: Relative path that has to be there.
    """
    return next((path / folder for folder in folders if (path / folder / marker).exists()), None)


def read_list(path: Path, why: str) -> list[str]:
    """The lines of a text file, without empty ones and without spaces at their ends.

    Args:
        path: The file.
        why: What it says, for the error: ``"the class of each image"``.

    Raises:
        DataError: It is not there, is no text, or is empty.
    """
    again = "unpack the official archive again"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} is missing: it says {why}", hint=again) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text file", hint=again) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}", hint=again) from None
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"{path} is empty: it should say {why}", hint=again)
    return lines


def read_pairs(path: Path, why: str) -> dict[str, str]:
    """A file of lines ``KEY VALUE``, in its order; the value may hold spaces.

    Raises:
        DataError: As `read_list`; a line has no value, or a key stands twice.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_list(path, why), start=1):
        key, _, value = line.partition(" ")
        if not value.strip():
            raise wrong_line(path, number, line, "KEY VALUE")
        if key in pairs:
            raise DataError(f"{path} lists {key} twice (line {number})", hint="unpack the official archive again")
        pairs[key] = value.strip()
    return pairs


def wrong_line(path: Path, number: int, line: str, form: str) -> DataError:
    """The error for a line that does not have its file's form."""
    return DataError(
        f"{path} line {number} is {line[:80]!r}; lines of this file are {form}",
        hint="unpack the official archive again, and do not edit its lists",
    )


def listed_images(
    name: str,
    split: str,
    class_names: Sequence[str],
    root: Path,
    paths: Sequence[str],
    labels: Sequence[int],
    *,
    list_file: Path,
) -> FileSource:
    """A source of images that a file lists.

    Args:
        name: The data set.
        split: ``"unlabeled"`` gives the images without labels.
        class_names: In label order.
        root: The folder that the paths are relative to.
        paths: One an image.
        labels: One an image.
        list_file: Where they are listed, for errors.

    Raises:
        DataError: Images are not there.
    """
    require_images(root, paths, list_file)
    if split == "unlabeled":
        return FileSource(name, split, (), np.full(len(paths), -1), root, paths)
    return FileSource(name, split, class_names, np.asarray(labels, dtype=np.int64), root, paths)


def require_images(root: Path, paths: Sequence[str], list_file: Path) -> None:
    """Raises DataError when a listed image is not below ``root``, or one is listed twice."""
    if not root.is_dir():
        raise DataError(
            f"{root}/ is missing: {list_file.name} lists {len(paths):,} images in it",
            hint="unpack the archive of the images there",
        )
    if len(set(paths)) != len(paths):
        raise DataError(f"{list_file} lists an image twice", hint="unpack the official archive again")
    absent = missing_images(root, paths)
    if absent:
        raise DataError(
            f"{len(absent):,} of the {len(paths):,} images that {list_file} lists are not in {root}: "
            f"{first_few(absent, 3)}",
            hint="the archive of the images was unpacked in part, or elsewhere: unpack it again",
        )


def missing_images(root: Path, paths: Iterable[str]) -> list[str]:
    """Those of the paths that are no image below a folder; the folder is read once."""
    there = set(list_images(root).paths)
    return [path for path in paths if path not in there]
