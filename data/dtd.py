"""`dtd`: Describable Textures (M. Cimpoi et al., CVPR 2014), in ten official partitions.

As its archive unpacks (``dtd/images``, ``dtd/labels``), and as torchvision has it (``dtd/dtd/…``).
"""

from __future__ import annotations

from pathlib import Path

from ..base.errors import DataError
from .listing import list_folders
from .official_lists import find_root, listed_images, read_list, wrong_line
from .sources import FileSource

_FOLDERS = ("dtd", "dtd/dtd", ".")


def find_dtd(path: Path) -> Path | None:
    """The folder that holds ``images`` and ``labels``, at or below a path, or None."""
    return find_root(path, _FOLDERS, "labels")


def open_dtd(root: Path, split: str, partition: int = 1) -> FileSource:
    """The 3,760 images of a partition's train and val, or the 1,880 of its test (``"val"``).

    Args:
        root: As `find_dtd` gives it.
        split: ``"train"`` takes the partition's training and validation images together.
        partition: 1 to 10.

    Raises:
        DataError: A file or an image is missing, or a list names an unknown class.
    """
    if not (root / "images").is_dir():
        raise DataError(f"{root}/images/ is missing beside labels/", hint="unpack the whole archive dtd-r1.0.1.tar.gz")
    class_names = list_folders(root / "images")
    label_of = {name: label for label, name in enumerate(class_names)}
    parts = ("test",) if split == "val" else ("train", "val")
    paths: list[str] = []
    labels: list[int] = []
    for part in parts:
        file = root / "labels" / f"{part}{partition}.txt"
        for number, line in enumerate(read_list(file, f"the images of partition {partition}"), start=1):
            class_name, slash, _ = line.partition("/")
            if not slash:
                raise wrong_line(file, number, line, "CLASS/IMAGE.jpg")
            if class_name not in label_of:
                raise DataError(
                    f"{file} line {number} names the class {class_name!r}, which has no folder in {root}/images",
                    hint="unpack the whole archive dtd-r1.0.1.tar.gz",
                )
            paths.append(line)
            labels.append(label_of[class_name])
    return listed_images("dtd", split, class_names, root / "images", paths, labels, list_file=file)
