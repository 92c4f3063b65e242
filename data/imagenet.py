"""`imagenet`: ILSVRC 2012 in its usual folders, train/<wnid>/ and val/<wnid>/."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..base.errors import DataError
from .folders import compare_splits, open_class_folders, open_folder
from .imagenet_val import NUM_CLASSES, WNID, open_flat_val
from .layouts import flat_folder
from .listing import has_images, list_folders
from .sources import ImageSource
from .splits import find_split


def open_imagenet(path: Path, split: str) -> ImageSource:
    """One split of ImageNet-1k. The sorted WordNet ids are the labels 0..999 that every published model uses.

    A flat val/ (as its archive unpacks) is read where a list of its classes lies beside it; see `open_flat_val`.

    Raises:
        DataError: Another number of classes than 1,000, folders that are no WordNet ids, a flat val/ without a list
            of its classes, or what `open_folder` raises.
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
        mapped = open_flat_val(path, root) if split == "val" else None
        if mapped is not None:
            return mapped
        raise flat_folder(
            root,
            "ILSVRC's validation archive unpacks like this: unpack ILSVRC2012_devkit_t12.tar.gz into "
            f"{path} or put Kaggle's LOC_val_solution.csv there, and the classes are read from it; or sort the images "
            "into val/<wnid>/ with valprep.sh (soumith/imagenetloader.torch)",
        )
    strangers = [name for name in names if not WNID.fullmatch(name)]
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


@cache
def wordnet_ids() -> tuple[str, ...]:
    """ImageNet-1k's WordNet ids in the order of the labels 0..999: sorted."""
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())
