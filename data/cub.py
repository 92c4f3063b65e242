"""`cub200`: Caltech-UCSD Birds 200-2011 (C. Wah et al., Technical Report CNS-TR-2011-001, Caltech, 2011).

Three files are joined by the images' ids: images.txt, image_class_labels.txt (classes from 1) and train_test_split.txt.
"""

from __future__ import annotations

from pathlib import Path

from ..base.errors import DataError
from .official_lists import find_root, listed_images, read_pairs, wrong_line
from .sources import FileSource

_FOLDERS = ("CUB_200_2011", ".", "CUB_200_2011/CUB_200_2011")


def find_cub(path: Path) -> Path | None:
    """The CUB_200_2011 folder at or below a path, or None."""
    return find_root(path, _FOLDERS, "images.txt")


def open_cub(root: Path, split: str) -> FileSource:
    """The 5,994 training images, or the 5,794 test images (``"val"``).

    Raises:
        DataError: A file or an image is missing, or the files do not fit together.
    """
    class_names = _class_names(root / "classes.txt")
    images = read_pairs(root / "images.txt", "the path of each image")
    labels = read_pairs(root / "image_class_labels.txt", "the class of each image")
    splits = read_pairs(root / "train_test_split.txt", "which images are to be trained on")
    for file, table in (("image_class_labels.txt", labels), ("train_test_split.txt", splits)):
        if table.keys() != images.keys():
            raise DataError(
                f"{root / file} is about other images than images.txt ({len(table):,} ids and {len(images):,})",
                hint="take all files from one archive: CUB-200-2011, not CUB-200 of 2010",
            )
    wanted = "0" if split == "val" else "1"
    paths, chosen = [], []
    for number, (image, relative) in enumerate(images.items(), start=1):
        if splits[image] not in ("0", "1"):
            raise wrong_line(root / "train_test_split.txt", number, f"{image} {splits[image]}", "ID and 1 or 0")
        label = labels[image]
        if not label.isdecimal() or not 1 <= int(label) <= len(class_names):
            raise wrong_line(
                root / "image_class_labels.txt",
                number,
                f"{image} {label}",
                f"ID and a class from 1 to {len(class_names)}",
            )
        if relative.partition("/")[0] != class_names[int(label) - 1]:
            raise DataError(
                f"{root / 'images.txt'} puts image {image} into {relative.partition('/')[0]}, image_class_labels.txt "
                f"into {class_names[int(label) - 1]}",
                hint="take all files from one archive; classes are numbered from 1",
            )
        if splits[image] == wanted:
            paths.append(relative)
            chosen.append(int(label) - 1)
    if not paths:
        raise DataError(
            f"{root / 'train_test_split.txt'} marks no image with {wanted}, so the split {split} is empty",
            hint="unpack the official archive again",
        )
    return listed_images("cub200", split, class_names, root / "images", paths, chosen, list_file=root / "images.txt")


def _class_names(file: Path) -> list[str]:
    """The classes in the order of their numbers, such as ``001.Black_footed_Albatross``."""
    classes = read_pairs(file, "the name of each class")
    for number, (key, name) in enumerate(classes.items(), start=1):
        if key != str(number) or name.partition(".")[0] != f"{number:03d}":
            raise DataError(
                f"{file} line {number} is '{key} {name}': the classes are not numbered 1, 2, 3, … in order",
                hint="unpack the official archive again: labels are the numbers in this file, less one",
            )
    return list(classes.values())
