"""Looking an image's vector up among those of the evaluation images."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .embedding import crop_boxes

CANDIDATES = 3  # evaluation images that are compared with one unlabeled image, at most
_BLOCK = 2048  # evaluation images in one product: its result fits into a processor's cache

PAIR = np.dtype([("image", "<i8"), ("evaluation", "<i4"), ("mirrored", "u1"), ("similarity", "<f4")])
"""How a shortlisted pair lies in a file."""


def read_pairs(path: Path, start: int, count: int) -> np.ndarray:
    """Some of the pairs in a file, without reading the others."""
    return np.fromfile(path, dtype=PAIR, count=count, offset=start * PAIR.itemsize)


class Candidate(NamedTuple):
    """An evaluation image that resembles an unlabeled one.

    Attributes:
        row: Of the unlabeled image in the vectors that were looked up.
        evaluation: Position of the evaluation image in its source.
        mirrored: Whether the unlabeled image resembles it in the mirror.
        similarity: Cosine of the vectors.
    """

    row: int
    evaluation: int
    mirrored: bool
    similarity: float


class EvaluationIndex:
    """An exact search over the crops of all evaluation images: a product with every one of them, block by block.

    Args:
        vectors: float32, (evaluation images x crops, D), of length one, an image's crops together.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        crops = len(crop_boxes())
        by_image = vectors.reshape(-1, crops, vectors.shape[-1])
        # The same crop of many images together: the best crop of each image is then an elementwise maximum.
        self._blocks = [
            np.ascontiguousarray(by_image[start : start + _BLOCK].transpose(1, 2, 0))
            for start in range(0, len(by_image), _BLOCK)
        ]

    def search(self, vectors: np.ndarray, threshold: float) -> list[Candidate]:
        """The evaluation images that resemble any of some images, at most `CANDIDATES` each, the most similar first.

        Args:
            vectors: float32, (B, 2, D): each image and its mirror image.
            threshold: Least similarity.
        """
        queries = vectors.reshape(-1, vectors.shape[-1])
        found: list[list[Candidate]] = [[] for _ in vectors]
        for number, block in enumerate(self._blocks):
            best = queries @ block[0]
            product = np.empty_like(best)
            for crop in block[1:]:
                np.maximum(best, np.matmul(queries, crop, out=product), out=best)
            upright, mirrored = best[0::2], best[1::2]
            for row, column in np.argwhere(np.maximum(upright, mirrored) >= threshold).tolist():
                similarities = float(upright[row, column]), float(mirrored[row, column])
                is_mirrored = similarities[1] > similarities[0]
                found[row].append(Candidate(row, number * _BLOCK + column, is_mirrored, max(similarities)))
        return [
            candidate
            for candidates in found
            for candidate in sorted(candidates, key=lambda one: (-one.similarity, one.evaluation))[:CANDIDATES]
        ]
