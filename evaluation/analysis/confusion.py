"""Which classes a model takes for each other: similarity of classes, measured by confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassPair:
    """Two classes.

    Attributes:
        first: The lower label.
        second: The higher label.
        confusion: Percent of their images that are given the other one's class, the mean of both directions.
    """

    first: int
    second: int
    confusion: float


def confusion_matrix(labels: np.ndarray, answers: np.ndarray, num_classes: int) -> np.ndarray:
    """Images by true class (rows) and given class (columns), int64 (C, C).

    Args:
        labels: int, (N,); images with -1 are left out.
        answers: int, (N,); answers with -1 are left out.
        num_classes: C.
    """
    kept = (labels >= 0) & (labels < num_classes) & (answers >= 0) & (answers < num_classes)
    places = labels[kept].astype(np.int64) * num_classes + answers[kept]
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def similar_pairs(matrices: Sequence[np.ndarray], number: int) -> list[ClassPair]:
    """The pairs of classes that models take for each other most often.

    Of each model the share of a class's images that are given the other class is taken in both directions; the mean of
    both and of all models counts. Pairs that nobody confuses are left out.

    Args:
        matrices: A confusion matrix a model, (C, C).
        number: At most so many pairs, the most confused first; of equal ones that of the lower labels.
    """
    both = _similarity(matrices)
    rows, columns = np.triu_indices(len(both), k=1)
    order = np.argsort(-both[rows, columns], kind="stable")[:number]
    pairs = [ClassPair(int(rows[k]), int(columns[k]), 100 * float(both[rows[k], columns[k]])) for k in order]
    return [pair for pair in pairs if pair.confusion > 0]


def contrasting_classes(matrices: Sequence[np.ndarray]) -> list[int]:
    """Two classes that are taken for each other, and two that are taken for nothing: MEAL V2's choice of Table 1.

    Returns:
        Labels: the most similar pair, then the two other classes with the least confusion with any class, those with
        images first.
    """
    both = _similarity(matrices)
    similar = similar_pairs(matrices, 1)
    chosen = [similar[0].first, similar[0].second] if similar else []
    empty = sum(matrix.sum(axis=1) for matrix in matrices) == 0
    score = both.max(axis=1) + 10.0 * empty
    rest = [int(k) for k in np.argsort(score, kind="stable") if int(k) not in chosen]
    return chosen + rest[: 4 - len(chosen)]


def _similarity(matrices: Sequence[np.ndarray]) -> np.ndarray:
    total = np.zeros(matrices[0].shape)
    for matrix in matrices:
        counts = np.maximum(1, matrix.sum(axis=1, keepdims=True))
        share = matrix / counts
        total += (share + share.T) / 2
    np.fill_diagonal(total, 0)
    return total / len(matrices)
