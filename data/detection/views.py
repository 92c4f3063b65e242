"""Training and evaluation views of images with boxes: short side from a list, longest side bounded, mirrored or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..randomness import generator
from .order import BoxOrder
from .source import BoxSource


@dataclass(frozen=True, kw_only=True)
class BoxViews:
    """How views are drawn, as detectron2's ResizeShortestEdge and RandomFlip.

    Attributes:
        short_sides: Pixels; one is drawn for each image and epoch.
        max_side: The longer side is at most this; the shorter then gives way.
        flip: Probability of a mirrored image.
    """

    short_sides: tuple[int, ...]
    max_side: int
    flip: float = 0.5


@dataclass(frozen=True)
class BoxBatch:
    """One rank's images of an iteration.

    Attributes:
        images: uint8, (3, H, W) each, RGB, of different sizes.
        boxes: float32, (N, 4) each: left, top, right, bottom in pixels of the view.
        labels: int64, (N,) each.
        ids: Their places in the source.
        original_sizes: (height, width) of each stored image.
    """

    images: list[Tensor]
    boxes: list[Tensor]
    labels: list[Tensor]
    ids: list[int]
    original_sizes: list[tuple[int, int]]


def draw_box_view(views: BoxViews, seed: int, epoch: int, sample: int) -> tuple[int, bool]:
    """The short side and whether it is mirrored: a pure function of (seed, epoch, sample)."""
    rng = generator(seed, "box view", epoch, sample)
    short = views.short_sides[int(rng.integers(len(views.short_sides)))]
    return short, bool(rng.random() < views.flip)


def resized_size(width: int, height: int, short: int, max_side: int) -> tuple[int, int]:
    """Width and height of the resized image, one pixel at least (detectron2, data/transforms/augmentation_impl.py)."""
    scale = short / min(width, height)
    new_width, new_height = (short, scale * height) if width < height else (scale * width, short)
    if max(new_width, new_height) > max_side:
        scale = max_side / max(new_width, new_height)
        new_width, new_height = new_width * scale, new_height * scale
    return max(1, int(new_width + 0.5)), max(1, int(new_height + 0.5))


def apply_box_view(
    image: Image.Image, boxes: np.ndarray, *, short: int, max_side: int, mirrored: bool
) -> tuple[Tensor, Tensor]:
    """The view: uint8 (3, H, W), and its boxes, float32 (N, 4)."""
    width, height = resized_size(*image.size, short, max_side)
    scale = np.array([width / image.size[0], height / image.size[1]] * 2, dtype=np.float32)
    moved = boxes * scale
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if mirrored:
        pixels = pixels[:, ::-1]
        moved = np.stack([width - moved[:, 2], moved[:, 1], width - moved[:, 0], moved[:, 3]], axis=1)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return tensor, torch.from_numpy(np.ascontiguousarray(moved, dtype=np.float32).reshape(-1, 4))


@dataclass(frozen=True, kw_only=True)
class BoxEvalView:
    """How an image is shown to be evaluated: resized, never mirrored.

    Attributes:
        short_side: Pixels.
        max_side: The longer side is at most this; the shorter then gives way.
    """

    short_side: int
    max_side: int

    def __call__(self, image: Image.Image) -> BoxBatch:
        """A batch of one image, without boxes."""
        nothing = np.zeros((0, 4), dtype=np.float32)
        view, _ = apply_box_view(image, nothing, short=self.short_side, max_side=self.max_side, mirrored=False)
        return BoxBatch([view], [], [], [], [(image.size[1], image.size[0])])


class BoxTask:
    """Loads the batches of training by iteration, in a loader's process.

    Args:
        source: The images.
        views: How they are shown.
        order: Which an iteration takes.
        seed: Of the views.
    """

    def __init__(self, source: BoxSource, views: BoxViews, *, order: BoxOrder, seed: int = 0) -> None:
        self.source, self.views, self.order, self.seed = source, views, order, seed

    def __call__(self, index: int) -> BoxBatch:
        """The batch of an iteration."""
        epoch, chosen = self.order.ids(index)
        batch = BoxBatch([], [], [], [], [])
        for sample in map(int, chosen):
            short, mirrored = draw_box_view(self.views, self.seed, epoch, sample)
            image = self.source.load(sample)
            boxes, labels = self.source.trainable(sample)
            view, moved = apply_box_view(image, boxes, short=short, max_side=self.views.max_side, mirrored=mirrored)
            batch.images.append(view)
            batch.boxes.append(moved)
            batch.labels.append(torch.from_numpy(labels.copy()))
            batch.ids.append(sample)
            batch.original_sizes.append((image.size[1], image.size[0]))
        return batch
