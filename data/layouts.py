"""Folders that are laid out otherwise than they are read: what was found in each, and the way out."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.amounts import first_few
from ..base.errors import DataError
from .listing import list_folders, read_folder
from .splits import ALL_NAMES, find_split

_LOOKED_AT = 1000
_NAME_THEN_NUMBER = re.compile(r"([^\W\d_]+)[ ._-]?\(?\d+\)?")


@dataclass(frozen=True)
class ClassFolder:
    """What lies in a folder that was taken for a class.

    Attributes:
        name: The folder's.
        num_images: At any depth.
        num_direct: In the folder itself.
        inside: Names of the folders in it that hold images.
        deep: Whether images lie in folders of these folders.
    """

    name: str
    num_images: int
    num_direct: int
    inside: tuple[str, ...]
    deep: bool

    @classmethod
    def of(cls, name: str, paths: Sequence[str]) -> ClassFolder:
        """From the paths of its images."""
        below = [path.split("/", 2) for path in paths if "/" in path]
        inside = tuple(sorted({parts[0] for parts in below}))
        return cls(name, len(paths), len(paths) - len(below), inside, any(len(parts) > 2 for parts in below))

    @property
    def split_names(self) -> tuple[str, ...]:
        """Those of the folders in it that are named as a split is."""
        return tuple(name for name in self.inside if name.lower() in ALL_NAMES)


def misplaced(root: Path, folders: Sequence[ClassFolder]) -> DataError | None:
    """The error for folders that are no class folders: those of splits, wrapped once more, inside the classes."""
    full = [folder for folder in folders if folder.num_images]
    if full and all(folder.split_names for folder in full):
        return _splits_below(root, full)
    if len(full) == 1 and not full[0].num_direct and full[0].inside:
        return _wrapped(root, full[0])
    return None


def _splits_below(root: Path, full: Sequence[ClassFolder]) -> DataError:
    first = full[0]
    found = " and ".join(f"{name}/" for name in first.split_names)
    if len(full) == 1:
        return DataError(
            f"{root} holds one folder with images, {first.name}/, and the splits {found} lie in it",
            hint=f"give {root / first.name}",
        )
    if any(folder.deep for folder in full):
        return DataError(
            f"{root} holds {len(full)} data sets, each with splits of its own: {first_few([one.name for one in full])}",
            hint=f"give one of them: {root / first.name}",
        )
    return DataError(
        f"{root} has its splits inside its {len(full)} class folders: {first.name}/ holds {found}",
        hint=f"move them to the outside: {root}/{first.split_names[0]}/{first.name}/IMAGE.jpg",
    )


def _wrapped(root: Path, only: ClassFolder) -> DataError | None:
    """One folder without images of its own, whose folders are the classes."""
    inner = root / only.name
    while len(only.inside) == 1:  # wrapped more than once
        inner = inner / only.inside[0]
        folders = [name for name in list_folders(inner) if read_folder(inner / name).images]
        if not folders:
            return None
        only = ClassFolder(inner.name, only.num_images, 0, tuple(folders), False)
    if root.name.lower() in ALL_NAMES:
        hint = f"move the folders of {inner} one level up, into {root}"
    else:
        hint = f"give {inner}"
    return DataError(
        f"{root} holds one folder with images, and the class folders lie in {inner}: {first_few(only.inside)}",
        hint=hint,
    )


def absent_classes(place: str | Path, names: Sequence[str], num_classes: int) -> str:
    """What to say of validation images that show fewer classes than are trained on."""
    return (
        f"{place} has no images of {len(names)} of the {num_classes} classes that are trained on: {first_few(names)}; "
        f"what is measured on it is over all {num_classes}"
    )


def single_class(root: Path, name: str, num_images: int) -> DataError:
    """The error for data of one class: every accuracy on it is 100 %."""
    message = f"{root} has a single class, {name} ({num_images:,} images): there is nothing to tell apart"
    table = _label_table(root)
    if table is not None:
        message += f"; {table[0]} has the columns {', '.join(table[1])}"
    return DataError(
        message,
        hint=f"expected a folder a class: {root}/CLASS/IMAGE.jpg; if one class is meant, write it so: PATH@one-class",
    )


def flat_folder(root: Path, hint: str | None = None, split: str = "train") -> DataError:
    """The error for images that lie beside one another where class folders should be.

    Args:
        root: The folder.
        hint: The way out, where more is known of the data.
        split: What the images should be.
    """
    images = sorted(read_folder(root).images)
    message = f"{root} is flat: {len(images):,} images and no class folders, so nothing says which class each one is"
    table = _label_table(root)
    if table is not None:
        message += f"; {table[0]} has the columns {', '.join(table[1])}"
    if hint is None:
        hint = f"move each image into its class's folder: {root / 'CLASS'}/IMAGE.jpg"
        if table is not None:
            hint += f", as {table[0].name} says; or give the table in the folder's place: {table[0]}"
        elif names := _names_before_numbers(images):
            hint += f"; the files' names begin with {first_few(names)}"
        hint += _beside(root, split)
    return DataError(message, hint=hint)


def _beside(root: Path, split: str) -> str:
    """The ways out that the folders beside a flat one give: to hold out of training images, or a class of this name."""
    if root.name.lower() not in ALL_NAMES:
        return ""
    folders = list_folders(root.parent)
    classes = [name for name in folders if name.lower() not in ALL_NAMES]
    train = find_split(root.parent, "train")
    if classes and all(not list_folders(root.parent / name) for name in folders):
        return f"; if {root.name} is a class as {first_few(classes)} may be, make {root}/CLASS/… of all"
    if split == "val" and train is not None and list_folders(train):
        return f"; or hold images out of {train.name}/ in its place: --val-share 0.1"
    return ""


def _label_table(root: Path) -> tuple[Path, list[str]] | None:
    """A table of labels in or beside a folder, as competitions hand them out, and its columns."""
    for folder in (root, root.parent) if root.name.lower() in ALL_NAMES else (root,):
        for name in sorted(read_folder(folder).tables):
            if "submission" not in name.lower():
                columns = _columns(folder / name)
                if len(columns) > 1:
                    return folder / name, columns
    return None


def _columns(table: Path) -> list[str]:
    """The names of the first columns of a table; none where it cannot be read."""
    try:
        if not table.is_file():
            return []
        with open(table, encoding="utf-8", errors="replace", newline="") as file:
            line = file.readline(4096)
        rows = list(csv.reader([line], delimiter="\t" if table.suffix.lower() == ".tsv" else ","))
    except (OSError, csv.Error):
        return []
    return ["".join(c for c in cell.strip() if c.isprintable())[:30] for cell in (rows[0] if rows else [])[:4]]


def _names_before_numbers(images: Sequence[str]) -> list[str]:
    """What the files' names have before their numbers (``cat.0.jpg``), where it could be their classes."""
    matches = [_NAME_THEN_NUMBER.match(name) for name in images[:: max(1, len(images) // _LOOKED_AT)]]
    counts = Counter(match[1] for match in matches if match)
    together = len(matches) == counts.total() and 2 <= len(counts) <= len(matches) // 2
    return sorted(counts) if together else []


def no_split(path: Path) -> DataError | None:
    """The error for class folders that are not divided into training and validation images; None where they are."""
    if find_split(path, "train") is not None or find_split(path, "val") is not None:
        return None
    names = list_folders(path)
    if not names:
        return None
    hint = (
        f"--val-share 0.1 (in every verb: the data spec {path}@val-share=0.1) holds out a tenth of each class; or make "
        f"{path}/train/CLASS/… and {path}/val/CLASS/…"
    )
    above = Path(os.path.realpath(path)).parent
    if Path(os.path.realpath(path)).name.lower() in ALL_NAMES and find_split(above, "val") is not None:
        hint = f"it is one split of {above}: give {above}"
    return DataError(
        f"{path} has class folders ({first_few(names)}), no validation and no test images of its own: the same files "
        "would be trained and measured on",
        hint=hint,
    )
