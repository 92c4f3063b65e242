"""Training views of images with masks (scaled, cut, mirrored, coloured) and the view that is evaluated.

As mmsegmentation's pipelines: RandomResize, RandomCrop, RandomFlip, PhotoMetricDistortion (datasets/transforms).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..opencv_resize import resize_and_cut
from ..randomness import generator
from .order import EndlessOrder
from .source import IGNORED, MaskSource

_CROP_TRIES = 10  # mmsegmentation transforms.py, RandomCrop
_BRIGHTNESS, _CONTRAST, _SATURATION = 32.0, (0.5, 1.5), (0.5, 1.5)  # PhotoMetricDistortion's defaults
_HUE = 18  # in OpenCV's steps of two degrees


@dataclass(frozen=True, kw_only=True)
class MaskViews:
    """How training views are drawn.

    Attributes:
        scale: Longer and shorter side that an image is fitted into before a random factor.
        factors: Bounds of that factor.
        crop: Height and width of the view.
        cat_max_ratio: A crop in which one class has a larger share than this is drawn again, ten times at most.
        flip: Probability of a mirrored view.
        colour: Whether brightness, contrast, saturation and hue are varied.
        fill: Colour of what lies beyond the image; its label is ignored.
    """

    scale: tuple[int, int]
    factors: tuple[float, float]
    crop: tuple[int, int]
    cat_max_ratio: float
    flip: float
    colour: bool
    fill: tuple[int, int, int] = (124, 116, 104)


@dataclass(frozen=True, kw_only=True)
class MaskView:
    """One drawn view.

    Attributes:
        size: Height and width of the whole scaled image.
        corner: Top and left of the crop in it.
        mirrored: Left to right.
        brightness: Added; None to leave it.
        contrast: Factor; None to leave it.
        contrast_first: Whether contrast comes before saturation and hue, or after them.
        saturation: Factor; None to leave it.
        hue: Degrees; None to leave it.
    """

    size: tuple[int, int]
    corner: tuple[int, int]
    mirrored: bool
    brightness: float | None = None
    contrast: float | None = None
    contrast_first: bool = True
    saturation: float | None = None
    hue: int | None = None


def fitted(width: int, height: int, scale: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image fitted into a longer and a shorter side, its ratio kept (mmcv's imrescale)."""
    factor = min(scale[0] / max(width, height), scale[1] / min(width, height))
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest label, as OpenCV takes it."""
    rows, columns = (
        np.minimum((np.arange(new) * (old / new)).astype(np.int64), old - 1)
        for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[rows[:, None], columns[None, :]]


def draw_mask_view(views: MaskViews, mask: np.ndarray, seed: int, epoch: int, sample: int) -> MaskView:
    """A pure function of the arguments; the mask decides which crops are drawn again."""
    rng = generator(seed, "mask view", epoch, sample)
    factor = float(rng.uniform(*views.factors))
    long, short = (max(1, int(side * factor)) for side in views.scale)
    size = fitted(mask.shape[1], mask.shape[0], (long, short))
    margins = [max(0, side - cut) for side, cut in zip(size, views.crop, strict=True)]
    scaled = resize_mask(mask, size)
    corner = (0, 0)
    for _ in range(_CROP_TRIES + 1):
        corner = (int(rng.integers(margins[0] + 1)), int(rng.integers(margins[1] + 1)))
        part = scaled[corner[0] : corner[0] + views.crop[0], corner[1] : corner[1] + views.crop[1]]
        counts = np.bincount(part[part != IGNORED], minlength=1)
        if views.cat_max_ratio >= 1 or ((counts > 0).sum() > 1 and counts.max() / counts.sum() < views.cat_max_ratio):
            break
    mirrored = bool(rng.random() < views.flip)
    if not views.colour:
        return MaskView(size=size, corner=corner, mirrored=mirrored)
    draws = rng.random(9)
    return MaskView(
        size=size,
        corner=corner,
        mirrored=mirrored,
        brightness=_between(draws[1], -_BRIGHTNESS, _BRIGHTNESS) if draws[0] < 0.5 else None,
        contrast=_between(draws[3], *_CONTRAST) if draws[2] < 0.5 else None,
        contrast_first=bool(draws[4] < 0.5),
        saturation=_between(draws[6], *_SATURATION) if draws[5] < 0.5 else None,
        hue=2 * (int(draws[8] * 2 * _HUE) - _HUE) if draws[7] < 0.5 else None,
    )


def apply_mask_view(
    image: Image.Image, mask: np.ndarray, view: MaskView, views: MaskViews
) -> tuple[np.ndarray, np.ndarray]:
    """The view: uint8 (H, W, 3), and its labels, uint8 (H, W), both of the crop's size."""
    top, left = view.corner
    cut = (min(views.crop[0], view.size[0] - top), min(views.crop[1], view.size[1] - left))
    pixels = _coloured(resize_and_cut(np.asarray(image), view.size, top, left, cut), view)
    labels = resize_mask(mask, view.size)[top : top + cut[0], left : left + cut[1]]
    if view.mirrored:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    whole = np.empty((*views.crop, 3), dtype=np.uint8)
    whole[...] = views.fill
    whole_labels = np.full(views.crop, IGNORED, dtype=np.uint8)
    whole[: cut[0], : cut[1]] = pixels
    whole_labels[: cut[0], : cut[1]] = labels
    return whole, whole_labels


def _between(draw: float, low: float, high: float) -> float:
    return float(low + (high - low) * draw)


def _coloured(pixels: np.ndarray, view: MaskView) -> np.ndarray:
    if view.brightness is not None:
        pixels = _linear(pixels, 1.0, view.brightness)
    if view.contrast is not None and view.contrast_first:
        pixels = _linear(pixels, view.contrast, 0.0)
    if view.saturation is not None or view.hue is not None:
        hsv = np.array(Image.fromarray(pixels).convert("HSV"))
        if view.saturation is not None:
            hsv[..., 1] = _linear(hsv[..., 1], view.saturation, 0.0)
        if view.hue is not None:
            hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(view.hue * 256 / 360)) % 256
        pixels = np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))
    if view.contrast is not None and not view.contrast_first:
        pixels = _linear(pixels, view.contrast, 0.0)
    return pixels


def _linear(values: np.ndarray, factor: float, shift: float) -> np.ndarray:
    return np.clip(values.astype(np.float32) * factor + shift, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class MaskBatch:
    """One rank's images of an iteration.

    Attributes:
        images: uint8, (B, 3, H, W), RGB.
        masks: uint8, (B, H, W): labels, `IGNORED` where there is none.
        ids: Their places in the source.
    """

    images: Tensor
    masks: Tensor
    ids: list[int]


class MaskTask:
    """Loads the batch of an iteration, in a loader's process.

    Args:
        source: The images.
        views: How they are shown.
        order: Which an iteration takes.
    """

    def __init__(self, source: MaskSource, views: MaskViews, order: EndlessOrder) -> None:
        self.source, self.views, self.order = source, views, order

    def __call__(self, index: int) -> MaskBatch:
        """The batch of an iteration."""
        chosen = self.order.ids(index)
        pixels = np.empty((len(chosen), *self.views.crop, 3), dtype=np.uint8)
        labels = np.empty((len(chosen), *self.views.crop), dtype=np.uint8)
        for row, (epoch, sample) in enumerate(chosen):
            image = self.source.load(sample)
            mask = self.source.load_mask(sample, image.size)
            view = draw_mask_view(self.views, mask, self.order.seed, epoch, sample)
            pixels[row], labels[row] = apply_mask_view(image, mask, view, self.views)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        return MaskBatch(images, torch.from_numpy(labels), [sample for _, sample in chosen])


@dataclass(frozen=True)
class ShownImage:
    """An image as it is shown to be evaluated.

    Attributes:
        image: uint8, (3, h, w), RGB, fitted into the test scale.
        size: Height and width of the stored image.
    """

    image: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class MaskEvalView:
    """How an image is shown to be evaluated.

    Attributes:
        scale: Longer and shorter side that it is fitted into; None for its own size.
    """

    scale: tuple[int, int] | None

    def __call__(self, image: Image.Image) -> ShownImage:
        """The image as the network is given it."""
        pixels = np.asarray(image)
        size = image.size[::-1] if self.scale is None else fitted(*image.size, self.scale)
        if size != pixels.shape[:2]:
            pixels = resize_and_cut(pixels, size, 0, 0, size)
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return ShownImage(tensor, image.size[::-1])


@dataclass(frozen=True)
class EvalImage:
    """An image to be evaluated.

    Attributes:
        shown: What the network is given.
        mask: uint8, (H, W): labels of the stored image.
        index: Its place in the source.
    """

    shown: ShownImage
    mask: Tensor
    index: int


class EvalTask:
    """Loads one image to be evaluated, in a loader's process.

    Args:
        source: The images.
        view: How they are shown.
        chosen: Which images, by place.
    """

    def __init__(self, source: MaskSource, view: Callable[[Image.Image], ShownImage], chosen: list[int]) -> None:
        self.source, self.view, self.chosen = source, view, chosen

    def __call__(self, index: int) -> EvalImage:
        """The image at a place in ``chosen``."""
        sample = self.chosen[index]
        image = self.source.load(sample)
        mask = self.source.load_mask(sample, image.size)
        return EvalImage(self.view(image), torch.from_numpy(mask), sample)
