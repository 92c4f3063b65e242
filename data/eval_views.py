"""What several models see of an image: decoded once, then brought to each one's size, crop and interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..base.errors import UsageError
from ..base.setting_values import CropPct, Pixels
from .opencv_resize import resize_and_cut
from .sources import ImageSource
from .views import EvalTransform
from .workers import TaskIterator

OPENCV = "opencv-bilinear"
INTERPOLATIONS = ("bilinear", "bicubic", OPENCV)
CROPS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True)
class EvalView:
    """How an image becomes one or more inputs of a model.

    Attributes:
        image_size: Height and width of a crop, pixels.
        image_width: Its width where it differs from its height; then of Pillow's filters and the centre alone.
        crop_pct: The short side is resized to ``image_size / crop_pct``; in (0, 1].
        interpolation: ``bilinear`` or ``bicubic`` as Pillow does them (antialiased), with timm's sizes; or
            ``opencv-bilinear`` as PaddleClas evaluates: OpenCV's filter without antialiasing, sizes rounded, the
            crop's corner rounded down (PaddleClas ppcls/data/preprocess/ops/operators.py).
        crops: 1 for the centre; 5 for the centre and the corners, in the order top left, top right, bottom left,
            bottom right; 10 for these and their mirror images.
    """

    image_size: Pixels
    crop_pct: CropPct
    interpolation: str
    crops: int = 1
    image_width: Pixels | None = None

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise UsageError(
                f"there is no interpolation {self.interpolation!r} here",
                hint=f"--interpolation with one of {', '.join(INTERPOLATIONS)}",
            )
        if self.crops not in CROPS:
            raise UsageError(f"there are no {self.crops} crops", hint="1, 5 or 10")
        if self.image_width is not None and (self.crops != 1 or self.interpolation == OPENCV):
            raise UsageError(
                f"inputs of {self.size[0]}x{self.size[1]} pixels are cut from the centre, by Pillow's filters",
                hint="leave --crops and opencv-bilinear out, or give an --image-size for squares",
            )
        EvalTransform(image_size=self.image_size, crop_pct=self.crop_pct, interpolation="bilinear")  # its checks

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a crop, pixels."""
        return self.image_size, self.image_width or self.image_size

    def apply(self, image: Image.Image) -> np.ndarray:
        """uint8, (crops, height, width, 3)."""
        if self.interpolation == OPENCV:
            crops = self._opencv(image)
        elif self.crops == 1:
            return self._pillow.apply(image)[None]
        else:
            crops = self._corners(image)
        if self.crops == 10:
            crops += [crop[:, ::-1] for crop in crops]
        return np.stack(crops)

    @property
    def _pillow(self) -> EvalTransform:
        kind: Literal["bilinear", "bicubic"] = "bicubic" if self.interpolation == "bicubic" else "bilinear"
        return EvalTransform(
            image_size=self.image_size, image_width=self.image_width, crop_pct=self.crop_pct, interpolation=kind
        )

    def _corners(self, image: Image.Image) -> list[np.ndarray]:
        size = self.image_size
        # The whole resized image, as the evaluation transform makes it before its crop.
        width, height = image.size
        short = int(size / self.crop_pct)
        wide = width > height
        new = (int(short * width / height), short) if wide else (short, int(short * height / width))
        resample = Image.Resampling.BICUBIC if self.interpolation == "bicubic" else Image.Resampling.BILINEAR
        resized = image if new == image.size else image.resize(new, resample)
        places = _places(new[1], new[0], size, round((new[1] - size) / 2), round((new[0] - size) / 2))
        return [np.asarray(resized.crop((left, top, left + size, top + size))) for top, left in places]

    def _opencv(self, image: Image.Image) -> list[np.ndarray]:
        size, (width, height) = self.image_size, image.size
        share = round(size / self.crop_pct) / min(width, height)
        new = (round(height * share), round(width * share))
        places = _places(*new, size, (new[0] - size) // 2, (new[1] - size) // 2)
        pixels = np.asarray(image)
        return [
            resize_and_cut(pixels, new, top, left, (size, size)) for top, left in places[: 1 if self.crops == 1 else 5]
        ]


def _places(height: int, width: int, size: int, top: int, left: int) -> list[tuple[int, int]]:
    """(top, left) of the centre and the corners."""
    low, right = height - size, width - size
    return [(top, left), (0, 0), (0, right), (low, 0), (low, right)]


@dataclass(frozen=True)
class ViewBatch:
    """Some images, as several models see them.

    Attributes:
        number: Of the batch, from 0.
        ids: int64, (B,); positions in the source.
        images: For each view uint8, (B · crops, 3, H, W), the crops of an image together.
    """

    number: int
    ids: np.ndarray
    images: tuple[Tensor, ...]

    def pin_memory(self) -> ViewBatch:
        """The same batch in page-locked memory (called by torch's DataLoader)."""
        return ViewBatch(self.number, self.ids, tuple(images.pin_memory() for images in self.images))


def view_batches(
    source: ImageSource,
    views: Sequence[EvalView],
    numbers: Sequence[int],
    *,
    batch_size: int,
    workers: int,
    pin_memory: bool = False,
) -> TaskIterator[ViewBatch]:
    """Some of a source's batches. Batch ``n`` holds the same images whoever asks for it.

    Args:
        source: The images.
        views: What to make of each.
        numbers: Of the wanted batches, each in [0, ceil(len(source) / batch_size)).
        batch_size: Images in a batch; the source's last one may be smaller, none is padded.
        workers: Processes that decode; 0 for this one.
        pin_memory: Whether batches come in page-locked memory (with CUDA only).

    Raises:
        UnreadableImage: From the iterator: a number over the other images would not be comparable.
    """
    return TaskIterator(_ViewTask(source, tuple(views), batch_size), numbers, workers=workers, pin_memory=pin_memory)


@dataclass(frozen=True)
class _ViewTask:
    source: ImageSource
    views: tuple[EvalView, ...]
    batch_size: int

    def __call__(self, index: int) -> ViewBatch:
        ids = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, len(self.source)))
        made = [torch.empty((len(ids), view.crops, *view.size, 3), dtype=torch.uint8) for view in self.views]
        for row, sample_id in enumerate(ids.tolist()):
            image = self.source.load(sample_id)
            for view, tensor in zip(self.views, made, strict=True):
                tensor.numpy()[row] = view.apply(image)
        # As decoded: seen as (N, 3, H, W) this is channels_last, and nothing is transposed here.
        return ViewBatch(index, ids, tuple(tensor.flatten(0, 1).permute(0, 3, 1, 2) for tensor in made))
