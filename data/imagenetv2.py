"""`imagenetv2-…`: the three test sets of "Do ImageNet Classifiers Generalize to ImageNet?" (B. Recht et al., 2019)."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.errors import DataError
from .folders import open_class_folders
from .imagenet import NUM_CLASSES, wordnet_ids
from .listing import list_folders
from .sources import FileSource

_TOGETHER = "imagenetv2"
VARIANTS = ("imagenetv2-matched-frequency", "imagenetv2-threshold0.7", "imagenetv2-top-images")


def find_imagenetv2(name: str, path: Path | None, root: Path | None) -> Path:
    """Where a variant lies.

    Args:
        name: Such as ``imagenetv2-top-images``.
        path: As given: its folder (under no other variant's name), or one that holds the variants' folders.
        root: ``$KDZOO_DATA``, looked into where no path is given.

    Raises:
        DataError: It is nowhere; says where it was looked for and how to get it.
    """
    unpacked = (f"{name}-format-val", name)
    if path is not None:
        others = [one for one in VARIANTS if one != name and one in Path(os.path.realpath(path)).name]
        tried = [*(path / folder for folder in unpacked), *([] if others else [path])]
    elif root is not None:
        tried = [base / folder for base in (root, root / _TOGETHER) for folder in unpacked]
    else:
        tried = []
    found = next((place for place in tried if place.is_dir()), None)
    if found is None:
        where = f"looked for {', '.join(f'{place}/' for place in tried)}" if tried else "KDZOO_DATA is not set"
        raise DataError(
            f"{name} not found: {where}",
            hint=f"unpack {name}.tar.gz (Hub: vaishaal/ImageNetV2) and write {name}:PATH, or put it into $KDZOO_DATA",
        )
    return found


def open_imagenetv2(name: str, folder: Path, split: str) -> FileSource:
    """One variant; its folders 0..999 are the classes, in the order of numbers, under ImageNet's WordNet ids.

    Raises:
        DataError: Another split than ``"val"``, or other folders than 0..999.
    """
    if split != "val":
        raise DataError(f"{name} is for evaluation alone", hint="train on other images")
    names = list_folders(folder)
    numbers = {int(one) for one in names if one.isascii() and one.isdecimal()}
    if len(names) != NUM_CLASSES or numbers != set(range(NUM_CLASSES)):
        seen = f"{len(names):,} folders" + (f" ({', '.join(names[:3])}, …)" if names else "")
        raise DataError(
            f"{folder} is not {name}: it has {seen}, not 0 to 999",
            hint=f"unpack {name}.tar.gz anew; another variant lies in a folder of its own",
        )
    source = open_class_folders(folder, split, name=name)  # list_folders sorts numbers as numbers
    source.class_names = wordnet_ids()
    return source
