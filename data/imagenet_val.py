"""A flat val/ folder, as ILSVRC's archive unpacks: the images' classes are read from a list that lies beside it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .listing import list_images
from .matlab import read_mat
from .sources import FileSource

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
KAGGLE = "LOC_val_solution.csv"
_DEVKIT = ("", "data", "ILSVRC2012_devkit_t12/data")
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})\.")
WNID = re.compile(r"n\d{8}")
NUM_CLASSES = 1000
_LARGEST_BYTES = 64 * 2**20


def open_flat_val(path: Path, root: Path) -> FileSource | None:
    """The images of a flat val/, or None where no list of their classes lies beside it.

    The list is the devkit's ``ILSVRC2012_validation_ground_truth.txt`` with its ``meta.mat`` (the numbers in the
    former are not the labels of published models: the latter says which WordNet id each one is), or Kaggle's
    ``LOC_val_solution.csv``. Labels are positions among the sorted WordNet ids.

    Args:
        path: ImageNet's folder.
        root: Its val/.

    Raises:
        DataError: The list is damaged, or does not name one of the images.
    """
    for base in (path, root):
        for folder in _DEVKIT:
            place = base / folder
            if (place / GROUND_TRUTH).is_file() and (place / META).is_file():
                return _labelled(root, *_from_devkit(place))
    for base in (path, root):
        if (base / KAGGLE).is_file():
            return _labelled(root, *_from_kaggle(base / KAGGLE))
    return None


def _labelled(root: Path, source: Path, wnids: dict[int, str], all_wnids: Iterable[str]) -> FileSource:
    """The images, labelled by the WordNet id of each one's number."""
    class_names = sorted(set(all_wnids))
    if len(class_names) != NUM_CLASSES or not all(WNID.fullmatch(name) for name in class_names):
        raise DataError(f"{source} names {len(class_names):,} classes, not 1,000 WordNet ids", hint="get it again")
    label_of = {name: label for label, name in enumerate(class_names)}
    listing = list_images(root)
    labels = np.empty(len(listing.paths), dtype=np.int64)
    for row, name in enumerate(listing.paths):
        match = _NUMBER.match(name)
        wnid = wnids.get(int(match[1])) if match else None
        if wnid is None:
            raise DataError(
                f"{source} does not say which class {root / name} is",
                hint="val/ holds ILSVRC2012_val_00000001.JPEG and so on, and nothing else",
            )
        labels[row] = label_of[wnid]
    return FileSource("imagenet", "val", class_names, labels, root, listing.paths, left_out=listing.left_out)


def _from_devkit(folder: Path) -> tuple[Path, dict[int, str], Iterable[str]]:
    truth, meta = folder / GROUND_TRUTH, folder / META
    hint = "unpack ILSVRC2012_devkit_t12.tar.gz again"
    try:
        if truth.stat().st_size > _LARGEST_BYTES:
            raise ValueError(f"{truth} is too large")
        numbers = [int(line) for line in truth.read_text(encoding="ascii").split()]
        synsets = read_mat(meta, ("synsets",), largest=_LARGEST_BYTES, hint=hint, squeeze=True)["synsets"]
        leaves = {
            int(row["ILSVRC2012_ID"]): str(row["WNID"])
            for row in np.atleast_1d(synsets)
            if int(row["num_children"]) == 0
        }
        return truth, {position: leaves[number] for position, number in enumerate(numbers, 1)}, leaves.values()
    except (DataError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"ILSVRC's devkit in {folder} cannot be read ({reason})", hint=hint) from None


def _from_kaggle(source: Path) -> tuple[Path, dict[int, str], Iterable[str]]:
    try:
        with open(source, newline="", encoding="utf-8") as file:
            rows = [(row["ImageId"], row["PredictionString"].split()[0]) for row in csv.DictReader(file)]
        wnids = {int(name.removeprefix("ILSVRC2012_val_")): wnid for name, wnid in rows}
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, csv.Error) as error:
        raise DataError(f"{source} cannot be read ({error})", hint="get it again from Kaggle's ImageNet data") from None
    return source, wnids, wnids.values()
