"""`aircraft`: FGVC-Aircraft, 2013b, at the level of variants (S. Maji et al., arXiv 1306.5151).

As its archive unpacks, and as torchvision has it: ``fgvc-aircraft-2013b/data/``. The strip with the photographer's
name at the lower edge of each picture is left in, as torchvision leaves it.
"""

from __future__ import annotations

from pathlib import Path

from ..base.errors import DataError
from .official_lists import find_root, listed_images, read_list, wrong_line
from .sources import FileSource

_FOLDERS = ("fgvc-aircraft-2013b/data", "data", ".")


def find_aircraft(path: Path) -> Path | None:
    """The archive's ``data`` folder, at or below a path, or None."""
    return find_root(path, _FOLDERS, "variants.txt")


def open_aircraft(root: Path, split: str) -> FileSource:
    """The 6,667 images of trainval (``"train"``), or the 3,333 of test (``"val"``).

    Raises:
        DataError: A file or an image is missing, or a list names an unknown variant.
    """
    class_names = read_list(root / "variants.txt", "the names of the classes")
    if len(set(class_names)) != len(class_names):
        raise DataError(f"{root / 'variants.txt'} names a variant twice", hint="unpack the official archive again")
    label_of = {name: label for label, name in enumerate(class_names)}
    file = root / f"images_variant_{'test' if split == 'val' else 'trainval'}.txt"
    paths, labels = [], []
    for number, line in enumerate(read_list(file, "the variant of each image"), start=1):
        image, _, variant = line.partition(" ")
        if not variant:
            raise wrong_line(file, number, line, "IMAGE VARIANT")
        if variant not in label_of:
            raise DataError(
                f"{file} line {number} names the variant {variant!r}, which variants.txt does not have",
                hint="take images_variant_*.txt, not those of the family or the manufacturer",
            )
        paths.append(f"{image}.jpg")
        labels.append(label_of[variant])
    return listed_images("aircraft", split, class_names, root / "images", paths, labels, list_file=file)
