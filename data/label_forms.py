"""How a teacher's numbers are written down: as they are, in half precision, or as its few largest probabilities.

The last one is FKD's marginal smoothing (Z. Shen, E. Xing, arXiv 2112.01528): the k largest probabilities are kept, and
what they leave of 1 is spread evenly over the other classes. Here the probabilities are kept as logarithms, which a
softmax takes back, so that a loss at temperature 1 reads them as it reads logits.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

import numpy as np

from ..base.errors import DataError, UsageError

_MAX_CLASSES = 1 << 16
_LARGEST_HALF = float(np.finfo(np.float16).max)


class Form(ABC):
    """One way to write rows of numbers as bytes of a fixed length.

    Attributes:
        name: What ``--form`` calls it.
    """

    name: str

    @abstractmethod
    def num_bytes(self, width: int) -> int:
        """Bytes of a row of ``width`` numbers."""

    @abstractmethod
    def encode(self, values: np.ndarray) -> np.ndarray:
        """float32 (N, width) to uint8 (N, num_bytes(width)).

        Raises:
            DataError: The form cannot hold these numbers.
        """

    @abstractmethod
    def decode(self, rows: np.ndarray, width: int) -> np.ndarray:
        """uint8 (N, num_bytes(width)) to float32 (N, width)."""


class _Floats(Form):
    def __init__(self, name: str, kind: str) -> None:
        self.name, self._kind = name, np.dtype(kind)

    def num_bytes(self, width: int) -> int:
        return width * self._kind.itemsize

    def encode(self, values: np.ndarray) -> np.ndarray:
        if self._kind.itemsize == 2 and float(np.abs(values).max(initial=0)) > _LARGEST_HALF:
            raise DataError("a teacher's answer is too large for half precision", hint="use --form float32")
        return np.ascontiguousarray(values.astype(self._kind)).view(np.uint8).reshape(len(values), -1)

    def decode(self, rows: np.ndarray, width: int) -> np.ndarray:
        return np.ascontiguousarray(rows).view(self._kind).astype(np.float32).reshape(len(rows), width)


class TopK(Form):
    """The k largest log-probabilities with their classes, and the mean probability of the others.

    A row holds k classes (uint16), their log-probabilities and that of each other class (float16): 4 k + 2 bytes.

    Args:
        k: How many are kept.
    """

    def __init__(self, k: int) -> None:
        self.name, self.k = f"top{k}", k

    def num_bytes(self, width: int) -> int:
        return 4 * self.k + 2

    def encode(self, values: np.ndarray) -> np.ndarray:
        count, width = values.shape
        if not self.k < width <= _MAX_CLASSES:
            raise UsageError(
                f"--form {self.name} keeps {self.k} probabilities, a teacher has {width} outputs",
                hint="use --form float16, or a smaller k",
            )
        log_probs = values.astype(np.float64)
        log_probs -= _log_sum_exp(log_probs)
        kept = np.argpartition(-log_probs, self.k - 1, axis=1)[:, : self.k]
        order = np.lexsort((kept, -np.take_along_axis(log_probs, kept, 1)), axis=1)
        kept = np.take_along_axis(kept, order, 1)
        largest = np.take_along_axis(log_probs, kept, 1)
        np.put_along_axis(log_probs, kept, -np.inf, 1)
        others = _log_sum_exp(log_probs) - np.log(width - self.k)
        rows = np.empty((count, self.num_bytes(width)), dtype=np.uint8)
        rows[:, : 2 * self.k] = kept.astype("<u2").view(np.uint8).reshape(count, -1)
        numbers = np.maximum(np.concatenate([largest, others], axis=1), -_LARGEST_HALF).astype("<f2")
        rows[:, 2 * self.k :] = numbers.view(np.uint8).reshape(count, -1)
        return rows

    def decode(self, rows: np.ndarray, width: int) -> np.ndarray:
        kept = np.ascontiguousarray(rows[:, : 2 * self.k]).view("<u2").astype(np.int64)
        numbers = np.ascontiguousarray(rows[:, 2 * self.k :]).view("<f2").astype(np.float32)
        values = np.repeat(numbers[:, -1:], width, axis=1)
        np.put_along_axis(values, kept, numbers[:, :-1], 1)
        return values


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    largest = values.max(axis=1, keepdims=True)
    return np.asarray(largest + np.log(np.exp(values - largest).sum(axis=1, keepdims=True)))


def parse_form(name: str) -> Form:
    """The form called ``float32``, ``float16`` or ``topK`` (``top5``).

    Raises:
        UsageError: There is none of that name.
    """
    if name in ("float32", "float16"):
        return _Floats(name, "<f4" if name == "float32" else "<f2")
    match = re.fullmatch(r"top([1-9]\d{0,3})", name)
    if match is None:
        raise UsageError(f"unknown form {name!r} of labels", hint="one of float32, float16, top5 (or another number)")
    return TopK(int(match[1]))
