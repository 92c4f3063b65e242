"""The best images of each class, from a stream of scores, in memory that depends on the classes alone."""

from __future__ import annotations

import numpy as np


class BestPerClass:
    """Keeps the ``top`` highest scores of each class; of equal scores, those that came first.

    A class has room for twice as many and is cut back whenever it is full.

    Args:
        num_classes: Classes.
        top: Images kept a class.
    """

    def __init__(self, num_classes: int, top: int) -> None:
        self._top = top
        self._kept: list[tuple[np.ndarray, np.ndarray]] = [
            (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)) for _ in range(num_classes)
        ]

    def add(self, ids: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> None:
        """Some more images: ids int64, classes, scores float32, each (N,); ids never seen before."""
        order = np.argsort(classes, kind="stable")
        cuts = np.flatnonzero(np.diff(classes[order])) + 1
        for part in np.split(order, cuts):
            if len(part):
                label = int(classes[part[0]])
                old_ids, old_scores = self._kept[label]
                both = np.concatenate([old_ids, ids[part]]), np.concatenate([old_scores, scores[part]])
                self._kept[label] = both if len(both[0]) <= 2 * self._top else self._cut(*both)

    def _cut(self, ids: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.lexsort((ids, -scores))[: self._top]
        return ids[order], scores[order]

    def ranked(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and scores of a class, the highest score first."""
        return self._cut(*self._kept[label])
