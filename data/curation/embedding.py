"""A descriptor of what an image looks like from afar, for finding its altered copies; it needs no weights.

An image becomes 16x16 pixels, its luma and chroma planes go through a cosine transform, and the low frequencies, lifted
towards a flat spectrum, make a vector of length one. Re-encoding and resizing barely move it, a change of brightness or
contrast drops out with the mean and the length. What a crop changes is met by indexing crops of the evaluation images,
and a mirrored image by looking up its mirror image as well.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

_SIDE = 16
_LUMA, _CHROMA = 8, 4  # frequencies kept a side
_LIFT = 0.75  # natural images fall off with 1/f; 1 would make their spectrum flat, and every shift of a pixel count

DIMENSIONS = _LUMA**2 - 1 + 2 * (_CHROMA**2 - 1)


def crop_boxes() -> tuple[tuple[float, float, float, float], ...]:
    """The parts of an evaluation image that are indexed, as (left, top, right, bottom) in fractions of its sides.

    The whole image, nine crops of 0.8 of each side and five of 0.9: no crop between 0.75 and 1 lies far from one.
    """
    corners = [(x, y) for y in (0.0, 0.1) for x in (0.0, 0.1)]
    boxes = [(0.0, 0.0, 1.0, 1.0)]
    boxes += [(x, y, x + 0.9, y + 0.9) for x, y in [*corners, (0.05, 0.05)]]
    boxes += [(x, y, x + 0.8, y + 0.8) for y in (0.0, 0.1, 0.2) for x in (0.0, 0.1, 0.2)]
    return tuple(boxes)


def embed_whole(image: Image.Image) -> np.ndarray:
    """The image and its mirror image: float32, (2, DIMENSIONS)."""
    pixels = _shrink(image, (0.0, 0.0, 1.0, 1.0))
    return _embed(np.stack([pixels, pixels[:, ::-1]]))


def embed_crops(image: Image.Image) -> np.ndarray:
    """One vector for each of `crop_boxes`: float32, (15, DIMENSIONS)."""
    return _embed(np.stack([_shrink(image, box) for box in crop_boxes()]))


def _shrink(image: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
    width, height = image.size
    part = (box[0] * width, box[1] * height, min(box[2], 1.0) * width, min(box[3], 1.0) * height)
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=part, reducing_gap=3.0)
    return np.asarray(small, dtype=np.float32)


@cache
def _cosines() -> np.ndarray:
    """The orthonormal DCT-II of 16 samples, (16, 16), a frequency a row."""
    frequency, sample = np.mgrid[:_SIDE, :_SIDE]
    table = np.cos(np.pi * frequency * (2 * sample + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)


@cache
def _lift(side: int) -> np.ndarray:
    vertical, horizontal = np.mgrid[:side, :side]
    return (np.hypot(vertical, horizontal) ** _LIFT).astype(np.float32)


def _embed(pixels: np.ndarray) -> np.ndarray:
    """(B, 16, 16, 3) in RGB to (B, DIMENSIONS). A picture of one colour becomes a fixed vector."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    parts = []
    for plane, side in ((luma, _LUMA), (blue - luma, _CHROMA), (red - luma, _CHROMA)):
        rows = _cosines()[:side]
        spectrum = (rows @ plane @ rows.T) * _lift(side)
        parts.append(spectrum.reshape(len(pixels), -1)[:, 1:])
    vectors = np.concatenate(parts, axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = lengths[:, 0] < 1.0
    vectors[flat] = 1.0
    lengths[flat] = np.sqrt(DIMENSIONS)
    return np.asarray(vectors / lengths, dtype=np.float32)
