"""The folders of a data set's splits: the names that people give them, and which one is meant."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.errors import DataError
from .listing import unreadable_folder

TRAIN, VAL, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
UNLABELED = ("unlabeled",)
SPLIT_FOLDERS = {"train": (TRAIN,), "val": (VAL, TEST)}
"""Names of a split's folder, in any case of letters; where both kinds are there, the first is taken."""

ALL_NAMES = frozenset({*TRAIN, *VAL, *TEST, *UNLABELED})


def named_folders(path: Path) -> dict[str, list[str]]:
    """The folders in a folder that have a split's name: ``{"val": ["Val"]}``; nothing where there is no folder."""
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.lower() in ALL_NAMES and _is_folder(entry):
                    found.setdefault(entry.name.lower(), []).append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise unreadable_folder(path, error) from None
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def has_split_folders(path: Path) -> bool:
    """Whether a folder is divided into splits (train/, val/, …) rather than into classes."""
    return bool(named_folders(path).keys() - set(UNLABELED))


def find_split(path: Path, split: str) -> Path | None:
    """The folder of a split, or None.

    Args:
        path: The data set.
        split: ``"train"``, ``"val"``, or the name of a folder of the data set, such as ``"test"``.

    Raises:
        DataError: Two folders have names of the same kind, such as val/ and validation/.
    """
    named = named_folders(path)
    if split not in SPLIT_FOLDERS and len(named.get(split.lower(), ())) == 1:
        return path / named[split.lower()][0]
    for kind in SPLIT_FOLDERS.get(split) or _kind_of(split):
        folders = sorted(folder for name in kind for folder in named.get(name, ()))
        if len(folders) > 1:
            raise DataError(
                f"{path} has {' and '.join(f'{folder}/' for folder in folders)}: either may be meant",
                hint=f"keep one of these names, or say which to measure on: {path}@{folders[0].lower()}",
            )
        if folders:
            return path / folders[0]
    return None


def _kind_of(name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(kind for kind in (TRAIN, VAL, TEST) if name.lower() in kind)


def split_note(path: Path, root: Path) -> tuple[str, ...]:
    """What to say of the folder that is taken for a split: nothing where it is train/ or val/ and there is no other."""
    kind = root.name.lower()
    others = sorted(
        folder
        for name, folders in named_folders(path).items()
        if name in (*VAL, *TEST) and kind in (*VAL, *TEST)
        for folder in folders
        if folder != root.name
    )
    unread = f"; {' and '.join(f'{folder}/' for folder in others)} not read ({path}@{others[0]})" if others else ""
    if root.name in ("train", "val") and not unread:
        return ()
    what = "training" if kind in TRAIN else "validation"
    return (f"{path}: {root.name}/ is taken for {what}{unread}",)
