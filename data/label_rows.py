"""A stored label as bytes: every teacher's numbers for one view, and a checksum that ties them to their place."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from .label_forms import Form, parse_form

_CHECKSUM = 4


@dataclass(frozen=True)
class RowLayout:
    """What a row of a store holds.

    Attributes:
        form: Name of the form of its numbers.
        logits: Outputs of each teacher.
        features: Width of each teacher's features; empty where they are not stored.
        seed: Of the checksums: another one for another store.
    """

    form: str
    logits: tuple[int, ...]
    features: tuple[int, ...] = ()
    seed: int = 0

    @cached_property
    def _form(self) -> Form:
        return parse_form(self.form)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of each part: the teachers' logits, then their features."""
        return (*self.logits, *self.features)

    @property
    def num_bytes(self) -> int:
        """Of a row, its checksum included."""
        return sum(self._form.num_bytes(width) for width in self.widths) + _CHECKSUM

    def pack(self, values: np.ndarray, epoch: int, first_row: int) -> bytes:
        """Rows as they are stored.

        Args:
            values: float32, (N, sum of the widths).
            epoch: Whose rows they are.
            first_row: Place of the first one in its epoch.

        Raises:
            DataError, UsageError: The form cannot hold these numbers.
        """
        parts = np.split(values, np.cumsum(self.widths)[:-1], axis=1)
        content = np.concatenate([self._form.encode(part) for part in parts], axis=1)
        sums = np.array([self._checksum(row, epoch, first_row + i) for i, row in enumerate(content)], dtype="<u4")
        return np.concatenate([content, sums.view(np.uint8).reshape(len(content), -1)], axis=1).tobytes()

    def unpack(self, data: bytes, epoch: int, first_row: int) -> np.ndarray:
        """What `pack` was given, as exact as the form is.

        Raises:
            ValueError: A row is not the one that belongs there, or was changed.
        """
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, self.num_bytes)
        content = np.ascontiguousarray(rows[:, :-_CHECKSUM])
        sums = np.ascontiguousarray(rows[:, -_CHECKSUM:]).view("<u4")[:, 0].tolist()
        for index, (row, checksum) in enumerate(zip(content, sums, strict=True)):
            if self._checksum(row, epoch, first_row + index) != checksum:
                raise ValueError(f"label {first_row + index} of epoch {epoch + 1}")
        sizes = [self._form.num_bytes(width) for width in self.widths]
        parts = np.split(content, np.cumsum(sizes)[:-1], axis=1)
        return np.concatenate([self._form.decode(p, width) for p, width in zip(parts, self.widths)], axis=1)

    def _checksum(self, row: np.ndarray, epoch: int, place: int) -> int:
        return zlib.crc32(row.data, zlib.crc32(struct.pack("<QQ", epoch, place), self.seed))

    def split(self, values: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """(B, sum of the widths) as one (B, C) tensor of logits and one (B, D) of features a teacher."""
        parts = values.split(list(self.widths), dim=1)
        return tuple(parts[: len(self.logits)]), tuple(parts[len(self.logits) :])
