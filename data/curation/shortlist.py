"""Looking an image's vector up among those of the evaluation images."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .embedding import crop_boxes

CANDIDATES = 3  # evaluation images that are compared with one unlabeled image, at most

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
    """An exact search over the crops of all evaluation images.

    Args:
        vectors: float32, (evaluation images x crops, D), of length one, an image's crops together.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        import faiss

        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def search(self, vectors: np.ndarray, threshold: float) -> list[Candidate]:
        """The evaluation images that resemble any of some images, at most `CANDIDATES` each, the most similar first.

        Args:
            vectors: float32, (B, 2, D): each image and its mirror image.
            threshold: Least similarity.
        """
        crops = len(crop_boxes())
        nearest = min(CANDIDATES * crops, self._index.ntotal)
        similarities, found = self._index.search(np.ascontiguousarray(vectors.reshape(-1, vectors.shape[-1])), nearest)
        candidates = []
        for row in range(len(vectors)):
            best: dict[int, Candidate] = {}
            for mirrored in (False, True):
                line = 2 * row + mirrored
                for similarity, crop in zip(similarities[line].tolist(), found[line].tolist()):
                    if similarity < threshold:
                        break
                    evaluation = crop // crops
                    if evaluation not in best or similarity > best[evaluation].similarity:
                        best[evaluation] = Candidate(row, evaluation, mirrored, similarity)
            candidates += sorted(best.values(), key=lambda one: (-one.similarity, one.evaluation))[:CANDIDATES]
        return candidates
