"""`imagenet`: ILSVRC 2012 in its usual folders, train/<wnid>/ and val/<wnid>/."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import DataError
from .folders import compare_splits, find_split, flat_folder, open_class_folders, open_folder
from .listing import has_images, list_folders
from .sources import FileSource

NUM_CLASSES = 1000
_WNID = re.compile(r"n\d{8}")


def open_imagenet(path: Path, split: str) -> FileSource:
    """One split of ImageNet-1k. The sorted WordNet ids are the labels 0..999 that every published model uses.

    Raises:
        DataError: Another number of classes than 1,000, folders that are no WordNet ids, a flat val/ (as its archive
            unpacks), or what `open_folder` raises.
    """
    if split == "unlabeled":
        return open_folder(path, split, name="imagenet")
    root = find_split(path, split)
    if root is None:
        raise DataError(
            f"{path} has no folder {split}/",
            hint=f"expected ILSVRC 2012 as {path / split}/n01440764/*.JPEG, …, 1,000 folders",
        )
    names = list_folders(root)
    if not names and has_images(root):
        raise flat_folder(
            root,
            "ILSVRC's validation archive unpacks like this: sort it into val/<wnid>/ with valprep.sh "
            "(soumith/imagenetloader.torch), or by ILSVRC2012_validation_ground_truth.txt of the devkit",
        )
    strangers = [name for name in names if not _WNID.fullmatch(name)]
    if strangers:
        raise DataError(
            f"{root} holds folders that are no WordNet ids: {', '.join(strangers[:5])}",
            hint=f"rename them to wnids such as n01440764, or give the folder as a plain path: --data {path}",
        )
    if len(names) != NUM_CLASSES:
        raise DataError(
            f"{root} has {len(names):,} class folders, ImageNet-1k has 1,000",
            hint=f"for a subset give the folder as a plain path (its classes are then 0..{max(len(names) - 1, 0)}): "
            f"--data {path}",
        )
    compare_splits(path)
    return open_class_folders(root, split, name="imagenet")
