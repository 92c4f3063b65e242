"""`birdsnap`: 500 North American birds (T. Berg et al., "Birdsnap", CVPR 2014), version 1.1, which has the test list.

The authors published addresses, not images, and many are dead: what is there is taken, counted, and never compared with
the full set in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .official_lists import find_root, missing_images, read_list
from .sources import FileSource

_FOLDERS = ("birdsnap", ".")
_IMAGES = ("download/images", "images", ".")


def find_birdsnap(path: Path) -> Path | None:
    """The folder with the lists, at or below a path, or None."""
    root = find_root(path, _FOLDERS, "species.txt")
    return root if root is not None and (root / "images.txt").exists() else None


def open_birdsnap(root: Path, split: str) -> FileSource:
    """What there is of the 47,386 training images, or of the 2,443 test images (``"val"``).

    Raises:
        DataError: A list is missing or damaged, or no image of the split is there.
    """
    class_names, label_of = _species(root / "species.txt")
    table = _table(root / "images.txt", ("path", "species_id"))
    in_test = set(read_list(root / "test_images.txt", "which images are to be tested on")[1:])
    unknown = in_test - {relative for relative, _ in table}
    if unknown:
        raise DataError(
            f"{root / 'test_images.txt'} lists {len(unknown):,} images that images.txt does not have, such as "
            f"{min(unknown)}",
            hint="take both files from one archive, version 1.1",
        )
    listed = [(relative, species) for relative, species in table if (relative in in_test) == (split == "val")]
    for _, species in listed:
        if species not in label_of:
            raise DataError(
                f"{root / 'images.txt'} names species {species!r}, which species.txt does not have",
                hint="take both files from one archive",
            )
    paths = [relative for relative, _ in listed]
    images, absent = _find_images(root, paths)
    kept = [(relative, label_of[species]) for relative, species in listed if relative not in absent]
    if not kept:
        raise DataError(
            f"none of the {len(listed):,} images of this split is in {root}/download/images or {root}/images",
            hint="run the archive's get_birdsnap.py; it fetches what is still on the net",
        )
    labels = np.array([label for _, label in kept])
    names: Sequence[str] = class_names
    if split == "unlabeled":
        labels, names = np.full(len(kept), -1), ()
    source = FileSource("birdsnap", split, names, labels, images, [relative for relative, _ in kept])
    source.num_listed = len(listed)
    return source


def _find_images(root: Path, paths: Sequence[str]) -> tuple[Path, set[str]]:
    """The folder that holds most of the images, and those that it does not hold."""
    best: tuple[Path, set[str]] | None = None
    for folder in _IMAGES:
        if (root / folder).is_dir():
            absent = set(missing_images(root / folder, paths))
            if best is None or len(absent) < len(best[1]):
                best = root / folder, absent
            if len(absent) < len(paths):
                break
    assert best is not None
    return best


def _species(file: Path) -> tuple[list[str], dict[str, int]]:
    """The common names in the order of their ids, and the label of each id."""
    rows = _table(file, ("id", "common"))
    if any(not number.isdecimal() for number, _ in rows) or len({number for number, _ in rows}) != len(rows):
        raise DataError(f"{file} has ids that are no numbers, or that stand twice", hint="unpack the archive again")
    rows.sort(key=lambda row: int(row[0]))
    return [name for _, name in rows], {number: label for label, (number, _) in enumerate(rows)}


def _table(file: Path, columns: tuple[str, str]) -> list[tuple[str, str]]:
    """Two columns of a tab-separated file whose first line names its columns."""
    header, *lines = read_list(file, f"the {columns[1]} of each {columns[0]}")
    names = header.split("\t")
    if not set(columns) <= set(names):
        raise DataError(
            f"{file} begins with {header[:60]!r}, not with tab-separated names that have {' and '.join(columns)}",
            hint="unpack the official archive again, version 1.1",
        )
    first, second = (names.index(column) for column in columns)
    rows = []
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) <= max(first, second):
            raise DataError(f"{file} line {number} has {len(cells)} cells, not {len(names)}", hint="unpack it again")
        rows.append((cells[first], cells[second]))
    return rows
