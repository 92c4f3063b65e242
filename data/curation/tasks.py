"""What the loader processes do for a curation: read, shrink, describe, compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..batch import Batch
from ..images import UnreadableImage
from ..sources import ImageSource
from ..views import EvalTransform
from .confirmation import Confirmation, Thresholds, confirm
from .embedding import DIMENSIONS, crop_boxes, embed_crops, embed_whole
from .listed import ListedImages
from .shortlist import read_pairs


@dataclass(frozen=True)
class Described:
    """Images for the teacher, and their vectors.

    Attributes:
        batch: The readable images of the step.
        vectors: float32, (B, 2, DIMENSIONS), of the same images.
    """

    batch: Batch
    vectors: np.ndarray


@dataclass(frozen=True)
class DescribeTask:
    """Step ``index``: the unlabeled images from ``index * batch_size`` on."""

    images: ListedImages
    transform: EvalTransform
    batch_size: int

    def __call__(self, index: int) -> Described:
        ids, pixels, vectors, unreadable = [], [], [], []
        for sample_id in range(index * self.batch_size, min((index + 1) * self.batch_size, len(self.images))):
            try:
                image = self.images.load(sample_id)
            except UnreadableImage as error:
                unreadable.append((sample_id, error.reason))
                continue
            ids.append(sample_id)
            pixels.append(self.transform.apply(image))
            vectors.append(embed_whole(image))
        side = self.transform.image_size
        stacked = np.stack(pixels) if pixels else np.zeros((0, side, side, 3), dtype=np.uint8)
        images = torch.from_numpy(stacked).permute(0, 3, 1, 2)
        labels = torch.full((len(ids),), -1, dtype=torch.int64)
        batch = Batch(images, labels, torch.tensor(ids, dtype=torch.int64), None, tuple(unreadable))
        return Described(batch, np.stack(vectors) if vectors else np.zeros((0, 2, DIMENSIONS), dtype=np.float32))


@dataclass(frozen=True)
class EvaluationTask:
    """Step ``index``: the vectors of some evaluation images, float32, (B x crops, DIMENSIONS)."""

    source: ImageSource
    batch_size: int

    def __call__(self, index: int) -> np.ndarray:
        ids = range(index * self.batch_size, min((index + 1) * self.batch_size, len(self.source)))
        vectors = np.zeros((len(ids), len(crop_boxes()), DIMENSIONS), dtype=np.float32)
        for row, sample_id in enumerate(ids):
            vectors[row] = embed_crops(self.source.load(sample_id))
        return vectors.reshape(-1, DIMENSIONS)


@dataclass(frozen=True)
class ConfirmTask:
    """Step ``index``: comparisons of the pairs in a file (see `PAIR`) from ``index * batch_size`` on."""

    images: ListedImages
    source: ImageSource
    pairs: Path
    thresholds: Thresholds
    batch_size: int

    def __call__(self, index: int) -> list[Confirmation | None]:
        import cv2

        cv2.setNumThreads(1)
        answers: list[Confirmation | None] = []
        for image, evaluation, mirrored, _ in read_pairs(self.pairs, index * self.batch_size, self.batch_size).tolist():
            try:
                one = self.images.load(image)
            except UnreadableImage:  # it went away since it was scored
                answers.append(None)
                continue
            other = self.source.load(evaluation)
            answers.append(confirm(one, other, mirrored=bool(mirrored), thresholds=self.thresholds))
        return answers
