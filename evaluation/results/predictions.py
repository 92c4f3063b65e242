"""What a model answered to each image: kept beside a result, so that two models can be compared image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_TYPES = {"labels": np.int32, "top5": np.int32, "confidence": np.float32, "correct": np.bool_, "counted": np.bool_}


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Answers in the order of the data's split.

    Attributes:
        labels: int32, (N,); -1 where an image has none or several.
        top5: int32, (N, 5): the classes in falling order; -1 where there are fewer classes.
        confidence: float32, (N,): the first answer's probability.
        correct: bool, (N,): whether the first answer counts as right.
        counted: bool, (N,): whether the image counts at all (ReaL leaves images without a label out).
    """

    labels: np.ndarray
    top5: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    counted: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, each of its stated type."""
        return {name: np.ascontiguousarray(getattr(self, name), dtype=kind) for name, kind in _TYPES.items()}
