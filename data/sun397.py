"""`sun397`: the 397 scenes of the SUN database (J. Xiao et al., CVPR 2010), in ten official partitions.

The images and the partitions are two archives. ``SUN397/a/abbey/*.jpg`` is the one; ``ClassName.txt``,
``Training_01.txt``, ``Testing_01.txt``, … are the other, found beside the images or in ``Partitions/``. Classes are
numbered by ClassName.txt, never by a folder listing.
"""

from __future__ import annotations

from pathlib import Path

from ..base.errors import DataError
from .official_lists import find_root, listed_images, read_list
from .sources import FileSource

_IMAGES = ("SUN397", ".", "SUN397/SUN397")
_LISTS = ("Partitions", ".", "SUN397", "split", "SUN397/Partitions")


def find_sun397(path: Path) -> Path | None:
    """The folder itself where the images are at or below it, in the folders a/, b/, …; or None."""
    return None if _images_in(path) is None else path


def _images_in(path: Path) -> Path | None:
    found = (path / folder for folder in _IMAGES)
    return next((root for root in found if root.is_dir() and any((root / letter).is_dir() for letter in "abc")), None)


def open_sun397(path: Path, split: str, partition: int = 1) -> FileSource:
    """The 50 training images a class of a partition (19,850), or the 50 test images (``"val"``).

    Args:
        path: Holds both archives.
        split: Of the data.
        partition: 1 to 10.

    Raises:
        DataError: The partitions, a file or an image is missing, or a list names an unknown class.
    """
    images = _images_in(path)
    assert images is not None
    lists = find_root(path, _LISTS, f"Training_{partition:02d}.txt")
    if lists is None:
        raise DataError(
            f"{path} has the images but not Training_{partition:02d}.txt, which says which of them are trained on",
            hint=f"unpack Partitions.zip into {path}/Partitions/ (vision.princeton.edu/projects/2010/SUN/download/)",
        )
    names = lists / "ClassName.txt" if (lists / "ClassName.txt").is_file() else images / "ClassName.txt"
    class_names = [line.strip("/") for line in read_list(names, "the names of the classes, in label order")]
    label_of = {name: label for label, name in enumerate(class_names)}
    file = lists / f"{'Testing' if split == 'val' else 'Training'}_{partition:02d}.txt"
    paths, labels = [], []
    for number, line in enumerate(read_list(file, f"the images of partition {partition}"), start=1):
        relative = line.strip("/")
        class_name = relative.rpartition("/")[0]
        if class_name not in label_of:
            raise DataError(
                f"{file} line {number} is {line[:80]!r}, whose class {class_name!r} is not in {names.name}",
                hint="take ClassName.txt and the partitions from one archive",
            )
        paths.append(relative)
        labels.append(label_of[class_name])
    return listed_images("sun397", split, class_names, images, paths, labels, list_file=file)
