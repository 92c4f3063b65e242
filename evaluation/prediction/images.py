"""Which images to look at: files, and folders of images at any depth."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...base.errors import DataError
from ...base.regular_files import refuse_special
from ...data.images import read_rgb
from ...data.listing import list_images
from ...data.reading import Reading, split_reading
from ...data.sources import ImageSource
from ...data.specs import SHARDED, open_source


@dataclass(frozen=True)
class ImageFile:
    """An image to look at.

    Attributes:
        path: Of the file; of an image among others in a larger file, data spec and name.
        reading: How it is read.
        source: Where it is read from, where it has no file of its own, and its position there.
    """

    path: str
    reading: Reading
    source: tuple[ImageSource, int] | None = None

    def load(self) -> Image.Image:
        """The image, RGB.

        Raises:
            UnreadableImage: It cannot be decoded.
        """
        if self.source is not None:
            return self.source[0].load(self.source[1])
        return read_rgb(self.path, reading=self.reading)


def find_images(paths: Sequence[str]) -> list[ImageFile]:
    """The images that files and folders name, each once, in the order given; of a folder every image at any depth.

    Args:
        paths: Files and folders, ``wds:PATH`` and ``hf:NAME`` (their unlabeled or training images); ``PATH@exif=apply``
            turns images upright, ``PATH@white=4095`` reads 12 bits.

    Raises:
        DataError: A path does not exist, or no image is there.
        UsageError: A path is a FIFO, a device or the like.
    """
    found: dict[str, ImageFile] = {}
    for text in paths:
        name, reading = split_reading(text)
        path = Path(name).expanduser()
        if name.startswith(tuple(f"{kind}:" for kind in SHARDED)):
            source = open_source(text, "unlabeled")
            rows = ((f"{name}/{source.identity(row)}", row) for row in range(len(source)))
            found.update({one: ImageFile(one, reading, (source, row)) for one, row in rows})
            continue
        if path.is_dir():
            names = [os.path.join(path, below) for below in list_images(path).paths]
        elif path.exists():
            refuse_special(path, what="the image")
            names = [str(path)]
        else:
            raise DataError(f"there is no file or folder {path}", hint="name images, or folders of images")
        for one in names:
            found.setdefault(one, ImageFile(one, reading))
    if not found:
        raise DataError(
            f"no images under {', '.join(paths)}", hint="give images (JPEG, PNG, WebP, …) or folders that hold some"
        )
    return list(found.values())


def digest_of_names(images: Sequence[ImageFile]) -> str:
    """A digest of which images are meant and how they are read."""
    return hashlib.sha256(
        "\n".join(f"{one.path}{one.reading}" for one in images).encode("utf-8", "replace")
    ).hexdigest()
