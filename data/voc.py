"""`voc2007`: PASCAL VOC 2007 for classification: which of 20 classes are in an image, several at once.

M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010. Read as its archives unpack,
which is how torchvision's VOCDetection leaves it. ``VOCdevkit/VOC2007/ImageSets/Main/CLASS_SPLIT.txt`` has a line an
image, with 1 (the class is there), -1 (it is not) or 0 (it is there, but only in objects marked difficult).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .official_lists import find_root, read_list, require_images, wrong_line
from .sources import FileSource

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_FOLDERS = ("VOCdevkit/VOC2007", "VOC2007", ".", "VOCtrainval_06-Nov-2007/VOCdevkit/VOC2007")
_TARGET = {"1": 1.0, "-1": 0.0, "0": np.nan}


def find_voc(path: Path) -> Path | None:
    """The VOC2007 folder at or below a path, or None."""
    return find_root(path, _FOLDERS, "ImageSets/Main")


def open_voc(root: Path, split: str) -> FileSource:
    """The 5,011 images of trainval (``"train"``), or the 4,952 of test (``"val"``).

    ``labels`` are -1; ``targets`` has a column a class: 1 there, 0 not there, NaN not to be counted.

    Raises:
        DataError: A file or an image is missing, or the lists of two classes differ.
    """
    official = "test" if split == "val" else "trainval"
    lists = root / "ImageSets" / "Main"
    names: list[str] = []
    columns = []
    for class_name in CLASSES:
        file = lists / f"{class_name}_{official}.txt"
        if not file.is_file():
            archive = "VOCtest_06-Nov-2007.tar" if official == "test" else "VOCtrainval_06-Nov-2007.tar"
            raise DataError(
                f"{file} is missing: it says which images show a {class_name}",
                hint=f"unpack {archive} into the same folder; the two archives share VOCdevkit/VOC2007",
            )
        images, column = _read_class(file)
        if names and images != names:
            raise DataError(
                f"{file} lists other images than {CLASSES[0]}_{official}.txt ({len(images):,} and {len(names):,})",
                hint="unpack the official archive again: all twenty lists have the same images in the same order",
            )
        names = images
        columns.append(column)
    paths = [f"{name}.jpg" for name in names]
    require_images(root / "JPEGImages", paths, lists / f"{CLASSES[0]}_{official}.txt")
    unlabelled = np.full(len(paths), -1)
    if split == "unlabeled":
        return FileSource("voc2007", split, (), unlabelled, root / "JPEGImages", paths)
    targets = np.stack(columns, axis=1)
    return FileSource(
        "voc2007", split, CLASSES, unlabelled, root / "JPEGImages", paths, target_names=CLASSES, targets=targets
    )


def _read_class(file: Path) -> tuple[list[str], np.ndarray]:
    names, values = [], []
    for number, line in enumerate(read_list(file, "which images show its class"), start=1):
        parts = line.split()
        if len(parts) != 2 or parts[1] not in _TARGET:
            raise wrong_line(file, number, line, "IMAGE and 1, -1 or 0")
        names.append(parts[0])
        values.append(_TARGET[parts[1]])
    return names, np.array(values, dtype=np.float32)
