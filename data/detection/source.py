"""One split of a detection data set: numbered images, each with any number of boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..images import UnreadableImage, read_orientation, read_rgb
from ..reading import AS_STORED, Reading


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The boxes of one image.

    Attributes:
        boxes: float64, (N, 4): left, top, right, bottom in pixels of the stored image, as annotated.
        labels: int64, (N,): 0-based classes.
        crowd: bool, (N,): a crowd, or (VOC) a difficult object: not trained on, and no mistake when it is found.
        areas: float64, (N,), in pixels: what decides whether an object is small, medium or large.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class BoxSource:
    """One split.

    Attributes:
        name: The data set, such as ``"coco"``.
        split: ``"train"`` or ``"val"``.
        class_names: In label order.
        category_ids: The annotation file's number of each class, in label order.
        folder: Of the images.
        files: Path of each image below ``folder``.
        image_ids: The annotation file's number or name of each image.
        sizes: int32, (N, 2): width and height of each image, as annotated.
        starts: int64, (N + 1,): the boxes of image i are ``starts[i]`` to ``starts[i + 1]``.
        objects: All boxes, image after image.
        notes: What is odd about it and was put up with, a line each.
        reading: How the images' files are read.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    folder: Path
    files: tuple[str, ...]
    image_ids: tuple[int | str, ...]
    sizes: np.ndarray
    starts: np.ndarray
    objects: Objects
    notes: tuple[str, ...] = ()
    reading: Reading = AS_STORED

    def __len__(self) -> int:
        return len(self.files)

    @property
    def num_classes(self) -> int:
        """How many classes there are, without a background."""
        return len(self.class_names)

    def identity(self, index: int) -> str:
        """A name of the image that does not depend on where the data lies."""
        return self.files[index]

    def load(self, index: int) -> Image.Image:
        """The image, RGB, of the annotated size.

        An image that is stored turned (EXIF) is turned upright where its annotations speak of the upright one. Where
        both have that size (equal sides, or a half turn), ``reading`` decides.

        Raises:
            UnreadableImage: It cannot be decoded, or is of another size.
        """
        path, identity = self.folder / self.files[index], self.identity(index)
        width, height = (int(value) for value in self.sizes[index])
        image = read_rgb(path, identity, self.reading)
        if image.size == (height, width) != (width, height):
            other = read_rgb(path, identity, replace(self.reading, upright=not self.reading.upright))
            image = other if other.size == (width, height) else image
        if image.size == (width, height):
            return image
        raise UnreadableImage(
            identity, f"it is {image.size[0]}x{image.size[1]} pixels, its annotation says {width}x{height}"
        )

    def is_open(self, index: int) -> bool:
        """Whether an image is stored turned and its size does not tell if its annotations speak of the upright one."""
        orientation = read_orientation(self.folder / self.files[index])
        return orientation in (2, 3, 4) or (orientation > 4 and int(self.sizes[index, 0]) == int(self.sizes[index, 1]))

    def image_objects(self, index: int) -> Objects:
        """The boxes of one image."""
        part = slice(int(self.starts[index]), int(self.starts[index + 1]))
        own = self.objects
        return Objects(boxes=own.boxes[part], labels=own.labels[part], crowd=own.crowd[part], areas=own.areas[part])

    def trainable(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The boxes that a detector learns from: no crowds, cut off at the image's edges, with an area left.

        Returns:
            float32 (N, 4) and int64 (N,).
        """
        own = self.image_objects(index)
        width, height = self.sizes[index]
        boxes = np.clip(own.boxes, 0, [width, height, width, height]).astype(np.float32)
        kept = ~own.crowd & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return boxes[kept], own.labels[kept]

    def take(self, indices: Sequence[int]) -> BoxSource:
        """The same split with some of its images only, in the given order."""
        chosen = [int(index) for index in indices]
        rows = [np.arange(self.starts[index], self.starts[index + 1]) for index in chosen]
        every = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        counts = np.array([len(row) for row in rows], dtype=np.int64)
        own = self.objects
        return replace(
            self,
            files=tuple(self.files[index] for index in chosen),
            image_ids=tuple(self.image_ids[index] for index in chosen),
            sizes=self.sizes[chosen],
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            objects=Objects(
                boxes=own.boxes[every], labels=own.labels[every], crowd=own.crowd[every], areas=own.areas[every]
            ),
        )

    def with_boxes(self) -> BoxSource:
        """The images that have something to learn from (detectron2's FILTER_EMPTY_ANNOTATIONS)."""
        return self.take([index for index in range(len(self)) if len(self.trainable(index)[1])])

    def boxes_per_class(self) -> np.ndarray:
        """int64, (C,): boxes that count, crowds apart."""
        return np.bincount(self.objects.labels[~self.objects.crowd], minlength=self.num_classes)

    def fingerprint(self) -> str:
        """A digest of the annotations and of which images they belong to; the pixels are not read."""
        digest = hashlib.sha256("\0".join((*self.class_names, "", *self.files)).encode("utf-8", "surrogateescape"))
        own = self.objects
        for array in (self.sizes, self.starts, own.boxes, own.labels, own.crowd, own.areas):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(str(self.reading).encode())
        return digest.hexdigest()
