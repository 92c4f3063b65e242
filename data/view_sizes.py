"""A view at another size than it was drawn for: what a teacher sees that takes larger images than the student.

Nothing is drawn again. The record and the decoded image are the student's, and what the record says in the student's
pixels moves with the size:

* The crop is the same region of the original image, by one resize from its own pixels. ``random_resized`` has its box
  in these. ``pad4`` and ``center`` crop a resized image: the region that they show is followed back through that
  resize, to a fraction of a pixel, and ``pad4``'s black border is as wide in proportion, rounded outwards.
* Flip, shear, rotation and colours are as they are; a translation is scaled. What a policy or a factor takes from the
  image itself (its mean grey, its histogram) it takes from this rendering's own pixels, and sharpness is an affair
  between neighbouring pixels at any size.
* Erased rectangles, cutout and GridMask cover the same parts: a pixel is painted over where the student's pixel at its
  centre is. The noise of an erased rectangle has a value for each pixel, and is the size's own.
* CutMix's box has its edges at the nearest pixels; the labels' weight stays the student's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from .masks import apply_erase, grid_squares
from .mixing import Mix
from .pixel_ops import RESAMPLING
from .views import Augmentation, View, fitting, vary_cropped

_TRANSLATIONS = ("TranslateX", "TranslateY")
_EXACT = 1e-6
"""Of a pixel: what floating point may add to an edge that lies on a pixel's border."""


def render_view(image: Image.Image, view: View, augmentation: Augmentation, side: int) -> np.ndarray:
    """A view of an RGB image that was drawn for another size: uint8, (side, side, 3).

    Args:
        image: The decoded image, as `apply_view` has it.
        view: As it was drawn.
        augmentation: What it was drawn with; its images are square.
        side: Height and width of the rendering, pixels.
    """
    scale = side / augmentation.image_size
    policy = tuple((name, value * scale if name in _TRANSLATIONS else value) for name, value in view.policy)
    pixels = np.array(
        vary_cropped(_cropped(image, view, augmentation, side), replace(view, policy=policy), augmentation)
    )
    for erase in view.erase:
        top, left, height, width = _box_at((erase.top, erase.left, erase.height, erase.width), scale)
        scaled = replace(erase, top=top, left=left, height=height, width=width)
        apply_erase(pixels, scaled, augmentation.mask_fill)
    if view.grid is not None:
        centres = ((np.arange(side) + 0.5) / scale).astype(int)
        pixels[grid_squares(view.grid, *augmentation.size)[centres[:, None], centres]] = augmentation.mask_fill
    return pixels


def mix_at(mix: Mix, side: int, other_side: int) -> Mix:
    """A mix of square images as a mix of the same images at another size.

    Args:
        mix: As it was drawn; its weight is kept.
        side: Of the images that it was drawn for, pixels.
        other_side: Of the others.
    """
    return mix if mix.box is None else replace(mix, box=_box_at(mix.box, other_side / side))


def _box_at(box: tuple[int, int, int, int], scale: float) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the pixels whose centres lie in a box of another size."""
    top, left, height, width = box
    top, left, bottom, right = (math.ceil(edge * scale - 0.5) for edge in (top, left, top + height, left + width))
    return top, left, bottom - top, right - left


def _cropped(image: Image.Image, view: View, augmentation: Augmentation, side: int) -> Image.Image:
    """What a view's crop shows, at the other size."""
    resampling = RESAMPLING[augmentation.interpolation]
    if view.crop is not None and augmentation.crop == "random_resized":
        top, left, height, width = view.crop
        return image.crop((left, top, left + width, top + height)).resize((side, side), resampling)
    top, left = (0, 0) if view.crop is None else view.crop[:2]
    low_x, low_y, high_x, high_y = fitting(view, augmentation).region(*image.size)
    rows = _span(top, augmentation.image_size, side, (low_y, high_y))
    columns = _span(left, augmentation.image_size, side, (low_x, high_x))
    whole, size = Image.new("RGB", (side, side)), (columns.end - columns.first, rows.end - rows.first)
    if min(size) > 0:
        box = (columns.low, rows.low, columns.high, rows.high)
        whole.paste(image.resize(size, resampling, box=box), (columns.first, rows.first))
    return whole


class _Span(NamedTuple):
    """Along one axis: the pixels of a rendering that show something of the image, and between which of its places."""

    first: int
    end: int
    low: float
    high: float


def _span(offset: int, size: int, side: int, region: tuple[float, float]) -> _Span:
    """What a crop shows that lies ``offset`` pixels off the image as it was resized to ``size``, rendered at ``side``.

    Args:
        region: The part of the original that the resized image shows.
    """
    scale, (low, high) = side / size, region
    first = math.ceil(max(0, -offset) * scale - _EXACT)
    end = math.floor(min(size, size - offset) * scale + _EXACT)
    begin, finish = (min(max(low + (high - low) * (edge / scale + offset) / size, low), high) for edge in (first, end))
    return _Span(first, end, begin, finish)
