"""Data in a table: CSV with a line an image, which names its file and what it shows: one class, several, or none.

The labels are names in one column, with ``;`` or ``|`` between several (``cat;dog``), or 0 and 1 in a column a class,
where an empty cell is not known. Where no cell of names holds several and none is empty, an image has one class, as in
class folders. A column ``split`` divides the images; or ``val.csv`` beside ``train.csv`` does.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError, UsageError
from ..base.regular_files import refuse_special
from .held_out import SharedSource, ValShare
from .layouts import absent_classes
from .listing import class_order
from .several_labels import label_notes
from .sources import FileSource, ImageSource
from .splits import ALL_NAMES, TEST, TRAIN, UNLABELED, VAL, find_split

SUFFIXES = (".csv", ".tsv")
COLUMNS = ("image", "label")
"""Parts of a data spec that name a column: ``photos.csv@label=tags``."""

_USUAL = {
    "image": ("image", "path", "file", "filename", "file_name"),
    "label": ("labels", "label", "tags", "classes"),
    "split": ("split",),
}
"""What the columns are called, in any case of letters; where none is called so, the first one names the images."""

_SEPARATORS = ("|", ";")
_NUMBERS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "": np.nan}
_KINDS = {"train": (TRAIN,), "val": (VAL, TEST), "unlabeled": (UNLABELED, TRAIN)}
_HEADING = "a heading such as image,labels or image,cat,dog; then a line an image: a.jpg,cat;dog or a.jpg,1,1"


@dataclass(frozen=True)
class LabelTable:
    """What a table says of its images.

    Attributes:
        path: The table.
        images: Paths, relative to the images' folder.
        lines: Where each stands in the file.
        splits: The split of each, in small letters; all empty where there is no such column.
        class_names: In label order.
        targets: float32, (N, C): 1 shown, 0 not shown, NaN not known.
        one_each: Whether each image has one class.
        notes: How it was read.
    """

    path: Path
    images: tuple[str, ...]
    lines: tuple[int, ...]
    splits: tuple[str, ...]
    class_names: tuple[str, ...]
    targets: np.ndarray
    one_each: bool
    notes: tuple[str, ...]

    def named(self, split: str, part: str | None = None) -> tuple[str, ...]:
        """What the column ``split`` calls a split's images; nothing where there are no such images."""
        kinds = [kind for kind in (TRAIN, VAL, TEST) if part in kind] if split == "val" and part else _KINDS[split]
        return next((kind for kind in kinds if set(kind) & set(self.splits)), ())

    def source(self, split: str, wanted: Sequence[str]) -> FileSource:
        """The images whose split has one of some names, all where there is none.

        Raises:
            DataError: An image is not there.
        """
        rows = [row for row, name in enumerate(self.splits) if not wanted or name in wanted]
        images, targets, folder = [self.images[row] for row in rows], self.targets[rows], self.path.parent
        places = (folder, folder / self.path.stem, folder / "images")
        root = next((place for place in places if (place / images[0]).is_file()), folder)
        gone = [row for row in rows if not os.path.isfile(root / self.images[row])]
        if gone:
            raise DataError(
                f"{len(gone):,} of {len(rows):,} images of {self.path} are not there, such as "
                f"{root / self.images[gone[0]]} (line {self.lines[gone[0]]})",
                hint=f"write paths relative to {folder}, with their ends; another column: {self.path}@image=COLUMN",
            )
        name = folder.resolve().name if self.path.stem.lower() in ALL_NAMES else self.path.stem
        none = np.full(len(rows), -1)
        if split == "unlabeled":
            return FileSource(name, split, (), none, root, images)
        names = self.class_names
        if not self.one_each:
            source = FileSource(name, split, names, none, root, images, target_names=names, targets=targets)
            source.notes = (*self.notes, *label_notes(source))
            return source
        source = FileSource(name, split, names, targets.argmax(axis=1), root, images)
        absent = [name for label, name in enumerate(names) if label not in source.labels]
        more = (absent_classes(self.path, absent, len(names)),) if absent and split == "val" else ()
        source.notes = (*self.notes, *more)
        return source


def find_table(path: Path) -> Path | None:
    """A folder's ``train.csv`` that has a validation table beside it, and no class folders; or None."""
    table = path / "train.csv"
    return table if table.is_file() and val_table(table) is not None and find_split(path, "train") is None else None


def val_table(table: Path) -> Path | None:
    """The table of validation images beside one of training images, by their names; or None."""
    if table.stem.lower() not in TRAIN:
        return None
    return next((one for name in VAL if (one := table.with_name(f"{name}{table.suffix}")).is_file()), None)


def open_table(
    path: Path,
    split: str,
    *,
    part: str | None = None,
    share: ValShare | None = None,
    columns: tuple[tuple[str, str], ...] = (),
) -> ImageSource:
    """The images of a table's split, all of them where nothing divides it.

    Args:
        path: The table.
        split: ``"train"``, ``"val"`` or ``"unlabeled"``.
        part: In place of the split ``"val"``, such as ``"test"``.
        share: Hold out a share of the training images.
        columns: Which column is which, of `COLUMNS`.

    Raises:
        DataError: The table cannot be read or contradicts itself, an image is not there, or validation images show a
            class that is not trained on.
        UsageError: A share where there are validation images.
    """
    table, beside = _read(path, columns), val_table(path)
    if share is not None:
        if beside is not None or table.named("val"):
            raise UsageError(f"{path} has validation images: nothing else is held out", hint="leave it out")
        return SharedSource(table.source("train", table.named("train")), share, split)
    if beside is not None and part is None and not any(table.splits):
        table, val = _alike(table, _read(beside, columns))
        return val.source(split, ()) if split == "val" else table.source(split, ())
    names = table.named(split, part)
    if not names and any(table.splits):
        hint = f"write {part or split} into the column split of the images that are meant"
        raise DataError(f"{path} has no image of the split {part or split}", hint=hint)
    return table.source(split, names)


def table_splits(path: Path, columns: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The splits that a table has of its own."""
    table = _read(path, columns)
    if not any(table.splits):
        return ("train",) if val_table(path) is None else ("train", "val")
    return tuple(split for split in ("train", "val") if table.named(split)) + ("unlabeled",) * (
        "unlabeled" in table.splits
    )


def require_table_split(path: Path, columns: tuple[tuple[str, str], ...]) -> None:
    """Raises DataError where a table's training and validation images would be the same."""
    if "val" not in table_splits(path, columns):
        raise DataError(
            f"{path} does not say which images are for validation",
            hint=f"--val-share 0.1 (in every verb: the data spec {path}@val-share=0.1) holds out a tenth; or add a "
            "column split (train, val), or call it train.csv and put val.csv beside it",
        )


def _alike(one: LabelTable, other: LabelTable) -> tuple[LabelTable, LabelTable]:
    """Two tables under the classes of the first, each with one class an image or both with several."""
    if strangers := sorted(set(other.class_names) - set(one.class_names)):
        hint = f"the classes are those of {one.path.name}: rename or remove the others"
        raise DataError(f"{other.path} has classes that {one.path.name} lacks: {first_few(strangers)}", hint=hint)
    targets = np.zeros((len(other.images), len(one.class_names)), dtype=np.float32)
    targets[:, [one.class_names.index(name) for name in other.class_names]] = other.targets
    each = one.one_each and other.one_each
    return replace(one, one_each=each), replace(other, class_names=one.class_names, targets=targets, one_each=each)


def _read(path: Path, columns: tuple[tuple[str, str], ...]) -> LabelTable:
    """A table, read once while its file stays as it is."""
    refuse_special(path, what="the table")
    try:
        status = os.stat(path)
        return _parse(path, columns, status.st_size, status.st_mtime_ns)
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8", hint="save it as CSV in UTF-8") from None
    except (OSError, csv.Error) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise DataError(f"cannot read {path}: {reason}", hint="save it as CSV again") from None


@lru_cache(maxsize=4)
def _parse(path: Path, columns: tuple[tuple[str, str], ...], size: int, time_ns: int) -> LabelTable:
    head, rows = _cells(path)
    image, label, split = (_find_column(path, head, name, dict(columns).get(name)) for name in _USUAL)
    image = image or 0
    first: dict[str, int] = {}
    for line, row in rows.items():
        name = row[image]
        if not name or os.path.isabs(name):
            hint = "write the image's path, relative to the table's folder"
            raise DataError(f"{path}, line {line}: {name[:80]!r} is no relative path", hint=hint)
        if first.setdefault(name, line) != line:
            hint = "one line an image; several labels in one cell: cat;dog"
            raise DataError(f"{path} names {name} in lines {first[name]} and {line}", hint=hint)
        if split is not None and row[split].lower() not in ALL_NAMES:
            hint = "write train, val, test or unlabeled into the column split of every line"
            raise DataError(f"{path}, line {line}: {row[split][:40]!r} is no split", hint=hint)
    splits = tuple("" if split is None else row[split].lower() for row in rows.values())
    if label is not None:
        names, targets, one_each = _from_names(path, [row[label] for row in rows.values()])
        unread = [name for index, name in enumerate(head) if index not in (image, label, split)]
        notes = (f"{path}: each image has one label: one class an image is learnt",) * one_each
        notes += (f"{path}: the labels are in {head[label]}; not read: {first_few(unread)}",) * bool(unread)
    else:
        classes = [index for index in range(len(head)) if index not in (image, split)]
        names, one_each = tuple(head[index] for index in classes), False
        targets = np.array([[_number(path, line, head, row, index) for index in classes] for line, row in rows.items()])
        alone = len(classes) > 1 and bool(((targets == 1).sum(axis=1) == 1).all())
        notes = (f"{path}: each image shows one class; in a column label they would exclude each other",) * alone
    if not names:
        raise DataError(f"{path} names no class", hint=_HEADING)
    return LabelTable(path, tuple(first), tuple(rows), splits, names, targets.astype(np.float32), one_each, notes)


def _cells(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The heading, and the rows that are not empty by their line."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        head = [cell.strip() for cell in next(reader, [])]
        numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    rows = {line: row for line, row in numbered if any(row)}
    if len(head) < 2 or not rows or len({*head}) < len(head):
        what = "names a column twice" if len({*head}) < len(head) else "has no heading of two columns, or no line"
        raise DataError(f"{path} {what}", hint=_HEADING)
    for line, row in rows.items():
        if len(row) != len(head):
            hint = "put a cell that holds the separator in quotes"
            raise DataError(f"{path}, line {line} has {len(row)} cells, its heading {len(head)}", hint=hint)
    return head, rows


def _find_column(path: Path, head: Sequence[str], what: str, chosen: str | None) -> int | None:
    """The column of the image, the labels' names (None where there is one a class), or the split (or None)."""
    if chosen is not None and chosen not in head:
        raise DataError(f"{path} has no column {chosen!r}", hint=f"its columns are {first_few(head, 10)}")
    small = [name.lower() for name in head]
    return head.index(chosen) if chosen else next((small.index(one) for one in _USUAL[what] if one in small), None)


def _from_names(path: Path, cells: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray, bool]:
    """Classes, targets and whether each image has one class, of a column of names."""
    separator = next((one for one in _SEPARATORS if any(one in cell for cell in cells)), None)
    named = [{part.strip() for part in cell.split(separator or "\0")} - {""} for cell in cells]
    names = class_order([*set[str]().union(*named)])
    number = {name: index for index, name in enumerate(names)}
    targets = np.zeros((len(cells), len(names)))
    for row, labels in enumerate(named):
        targets[row, [number[name] for name in labels]] = 1
    return tuple(names), targets, separator is None and all(cells)


def _number(path: Path, line: int, head: Sequence[str], row: Sequence[str], index: int) -> float:
    """1, 0, or NaN where a cell is empty."""
    value = _NUMBERS.get(row[index].lower())
    if value is None:
        raise DataError(
            f"{path}, line {line}: {head[index]} is {row[index][:40]!r}, neither 0 nor 1",
            hint=f"a column of names is called labels, or {path}@label={head[index]} says so; an empty cell is not "
            "known; a column of anything else has to go",
        )
    return value
