"""One split of a segmentation data set: numbered images, each with a mask of the same size."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ...base.errors import DataError
from ..images import UnreadableImage, decode_stored, read_orientation, read_rgb
from ..reading import AS_STORED, Reading

IGNORED = 255
"""The label of pixels that are neither learnt from nor counted."""

MAX_CLASSES = 254
_UNKNOWN = 254
_INDEX_MODES = ("L", "P", "1")


class BadMask(DataError):
    """A mask that cannot be used.

    Args:
        identity: Its image, as the source names it.
        reason: Why, in one line.
    """

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(f"the mask of {identity}: {reason}", hint="'kdzoo data check' lists every such mask")
        self.identity = identity
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadMask], tuple[str, str]]:
        return BadMask, (self.identity, self.reason)


def label_table(label_of: Mapping[int, int], ignored: Sequence[int] = ()) -> np.ndarray:
    """The label of each stored id, uint8 (256,); ids that are neither named nor ignored are unknown."""
    table = np.full(256, _UNKNOWN, dtype=np.uint8)
    for stored, label in label_of.items():
        table[stored] = label
    table[list(ignored)] = IGNORED
    return table


@dataclass(frozen=True, kw_only=True)
class MaskSource:
    """One split.

    Attributes:
        name: The data set, such as ``"cityscapes"``.
        split: ``"train"`` or ``"val"``.
        class_names: In label order.
        folder: Holds everything.
        images: Path of each image below ``folder``.
        masks: Path of each mask below ``folder``.
        table: uint8, (256,): the label of each stored id; see `label_table`.
        colours: RGB of each class, for pictures.
        notes: What is odd about it and was put up with, a line each.
        reading: How the images' files are read; masks are read as stored.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    folder: Path
    images: tuple[str, ...]
    masks: tuple[str, ...]
    table: np.ndarray
    colours: tuple[tuple[int, int, int], ...]
    notes: tuple[str, ...] = ()
    reading: Reading = AS_STORED

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """How many classes are counted."""
        return len(self.class_names)

    @property
    def is_published(self) -> bool:
        """Whether the classes are those of a published data set, and not listed with the data."""
        return self.name != "masks"

    def orientation(self, index: int) -> int:
        """The EXIF orientation that the image's file states, 1 to 8."""
        return read_orientation(self.folder / self.images[index])

    def identity(self, index: int) -> str:
        """A name of the image that does not depend on where the data lies."""
        return self.images[index]

    def load(self, index: int) -> Image.Image:
        """The image, RGB.

        Raises:
            UnreadableImage: It cannot be decoded.
        """
        return read_rgb(self.folder / self.images[index], self.identity(index), self.reading)

    def load_mask(self, index: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """The labels of an image's pixels, uint8 (H, W); `IGNORED` where there is none.

        Args:
            index: Which image.
            size: Width and height that it must have.

        Raises:
            BadMask: It cannot be decoded, is no picture of indices, has an unknown id, or is of another size.
        """
        identity = self.identity(index)
        stored = read_indices(self.folder / self.masks[index], identity)
        if size is not None and stored.shape != size[::-1]:
            raise BadMask(
                identity, f"it is {stored.shape[1]}x{stored.shape[0]} pixels, the image is {size[0]}x{size[1]}"
            )
        labels = self.table[stored]
        if (labels == _UNKNOWN).any():
            ids = np.unique(stored[labels == _UNKNOWN])
            shown = ", ".join(str(one) for one in ids[:5].tolist()) + (" and others" if len(ids) > 5 else "")
            raise BadMask(identity, f"unknown ids {shown} ({self.name} has {self._known()})")
        return labels

    def _known(self) -> str:
        known = np.flatnonzero(self.table != _UNKNOWN)
        inner = known[known != IGNORED]
        return f"{inner.min()} to {inner.max()}" + (" and 255" if IGNORED in known else "")

    def take(self, indices: Sequence[int]) -> MaskSource:
        """The same split with some of its images only, in the given order."""
        return replace(
            self,
            images=tuple(self.images[index] for index in indices),
            masks=tuple(self.masks[index] for index in indices),
        )

    def fingerprint(self) -> str:
        """A digest of the classes, the images' names and the masks' files; the images' pixels are not read."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256("\0".join((*self.class_names, "", *self.images)).encode("utf-8", "surrogateescape"))
        digest.update(self.table.tobytes() + str(self.reading).encode())
        for mask, image in zip(self.masks, self.images, strict=True):
            try:
                digest.update(hashlib.sha256((self.folder / mask).read_bytes()).digest())
            except OSError as error:
                raise BadMask(image, (error.strerror or str(error)).lower()) from None
        return digest.hexdigest()


def read_indices(path: Path, identity: str) -> np.ndarray:
    """The stored ids of a mask, uint8 (H, W).

    Raises:
        BadMask: It cannot be decoded, or its pixels are colours or numbers beyond 255.
    """
    try:
        content = path.read_bytes()
        image = decode_stored(content, identity)
    except UnreadableImage as error:
        raise BadMask(identity, f"it cannot be decoded: {error.reason}") from None
    except OSError as error:
        raise BadMask(identity, f"it cannot be decoded: {(error.strerror or str(error)).lower()}") from None
    if image.mode in _INDEX_MODES:
        ids = np.array(image, dtype=np.uint8)
        return ids // _stretch(content) if image.mode == "L" else ids
    if image.mode.startswith("I"):
        wide = np.asarray(image, dtype=np.int64)
        if wide.min() >= 0 and wide.max() <= 255:
            return wide.astype(np.uint8)
        beyond = f"up to {wide.max():,}" if wide.min() >= 0 else f"from {wide.min():,}"
        raise BadMask(identity, f"ids {beyond}; a mask holds ids from 0 to 255")
    raise BadMask(identity, f"its pixels are colours ({image.mode}); a mask is a grey or palette PNG of class ids")


def _stretch(content: bytes) -> int:
    """By how much Pillow has stretched the values of a grey PNG of two or four bits."""
    bits = content[24] if content.startswith(b"\x89PNG") else 8
    return 255 // (2**bits - 1) if bits in (2, 4) else 1


def colour_map(number: int) -> tuple[tuple[int, int, int], ...]:
    """The first colours of PASCAL VOC's map: bits of the index, spread over red, green and blue."""
    colours = []
    for index in range(number):
        channels = [0, 0, 0]
        rest, shift = index, 7
        while rest:
            for channel in range(3):
                channels[channel] |= (rest >> channel & 1) << shift
            rest, shift = rest >> 3, shift - 1
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)


def pair_up(
    root: Path, images: Mapping[str, str], masks: Mapping[str, str], where: str
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Images and masks of the same key, in the keys' order.

    Args:
        root: Holds both.
        images: Path below ``root`` of each image, by key.
        masks: Likewise.
        where: The split, for errors.

    Returns:
        The images, their masks, and notes.

    Raises:
        DataError: There is no image, or one without a mask.
    """
    if not images:
        raise DataError(f"there is no image for {where} in {root}", hint="'kdzoo data check' shows what is looked for")
    missing = sorted(set(images) - set(masks))
    if missing:
        more = f" (and {len(missing) - 1:,} others)" if len(missing) > 1 else ""
        raise DataError(
            f"the image {images[missing[0]]}{more} in {root} has no mask",
            hint="add its mask, or take the image out",
        )
    keys = sorted(images)
    spare = len(set(masks) - set(images))
    notes = (f"{spare:,} masks have no image: left out",) if spare else ()
    return tuple(images[key] for key in keys), tuple(masks[key] for key in keys), notes
