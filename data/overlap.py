"""Whether validation images are training images too: the same files, or files of the same bytes.

No image is decoded, and of a large data set few are read: files are told apart by their inodes and sizes first, and of
the validation images that remain at most a thousand, evenly spread, are looked for among training files of their size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..base.errors import DataError
from .contents import GONE, content_hash
from .sources import ImageSource

_LOOKED_FOR = 1000
_COMPARED = 50_000
_PROBE = 4096
TOLERATED = 0.2
"""Share of the validation images that may be training images too: published data sets have a few by accident."""


@dataclass(frozen=True)
class Overlap:
    """Validation images that are training images too.

    Attributes:
        num_shared: How many were found.
        num_looked_for: Of how many.
        example: The file of one, and its twin's.
    """

    num_shared: int
    num_looked_for: int
    example: tuple[str, str]

    @property
    def is_refused(self) -> bool:
        """Whether a number measured on the validation images would say little of images never seen."""
        return self.num_shared > TOLERATED * self.num_looked_for

    def __str__(self) -> str:
        val, train = self.example
        return (
            f"{self.num_shared:,} of {self.num_looked_for:,} validation images are training images too, "
            f"such as {val} = {train}"
        )


def find_overlap(
    train: ImageSource, val: ImageSource, train_stats: np.ndarray, val_stats: np.ndarray
) -> Overlap | None:
    """The overlap of two sources whose images are files; None where there is none.

    Args:
        train: Training images.
        val: Validation images.
        train_stats: From `file_stats`.
        val_stats: From `file_stats`.
    """
    present = np.flatnonzero(val_stats[:, 0] != GONE)
    if not len(present):
        return None
    twins = _same_files(train_stats, val_stats, present)
    if len(twins) <= TOLERATED * len(present):
        step = max(1, -(-len(present) // _LOOKED_FOR))
        present = present[::step]
        looked_for = set(present.tolist())
        twins = {index: twin for index, twin in twins.items() if index in looked_for}
        twins |= _same_bytes(train, val, train_stats, val_stats, [i for i in present.tolist() if i not in twins])
    if not twins:
        return None
    first = min(twins)
    return Overlap(len(twins), len(present), (_named(val, first), _named(train, twins[first])))


def _named(source: ImageSource, index: int) -> str:
    return source.file(index) or source.identity(index)


def _same_files(train_stats: np.ndarray, val_stats: np.ndarray, present: np.ndarray) -> dict[int, int]:
    """Validation image to training image, where both are one file, by whichever link."""
    shared = np.flatnonzero(np.isin(train_stats[:, 1], val_stats[present, 1]) & (train_stats[:, 1] != GONE))
    where = {(int(inode), int(device)): int(row) for row, (_, inode, device) in zip(shared, train_stats[shared])}
    found = {}
    for index in present.tolist():
        twin = where.get((int(val_stats[index, 1]), int(val_stats[index, 2])))
        if twin is not None:
            found[index] = twin
    return found


def _same_bytes(
    train: ImageSource, val: ImageSource, train_stats: np.ndarray, val_stats: np.ndarray, wanted: list[int]
) -> dict[int, int]:
    """Validation image to training image, where both files have the same bytes."""
    sizes = val_stats[wanted, 0]
    candidates = np.flatnonzero(np.isin(train_stats[:, 0], sizes[sizes > 0])).tolist()
    if len(candidates) > _COMPARED:  # formats without compression have few sizes: copies keep their names, too
        names = {os.path.basename(_named(val, index)) for index in wanted}
        candidates = [row for row in candidates if os.path.basename(_named(train, row)) in names][:_COMPARED]
    by_probe: dict[tuple[int, bytes], list[int]] = {}
    for row in candidates:
        by_probe.setdefault(_probe(train, row, int(train_stats[row, 0])), []).append(row)
    found = {}
    for index in wanted:
        rows = by_probe.get(_probe(val, index, int(val_stats[index, 0])), ()) if by_probe else ()
        if rows:
            content = content_hash(val, index)
            twin = next((row for row in rows if content_hash(train, row) == content), None)
            if twin is not None:
                found[index] = twin
    return found


def _probe(source: ImageSource, index: int, size: int) -> tuple[int, bytes]:
    """The size and the last bytes of a file: compressed images of one size differ there."""
    path = source.file(index)
    if path is None:
        return size, (source.encoded(index) or b"")[-_PROBE:]
    try:
        with open(path, "rb") as file:
            file.seek(max(0, size - _PROBE))
            return size, file.read(_PROBE)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None


def refuse_overlap(overlap: Overlap | None) -> tuple[str, ...]:
    """What to say of a small overlap; nothing where there is none.

    Raises:
        DataError: It is not small.
    """
    if overlap is None:
        return ()
    if overlap.is_refused:
        raise DataError(
            f"the validation images are not held out: {overlap}",
            hint="keep each image on one side; 'kdzoo data check' finds copies",
        )
    return (f"warning: {overlap}",)
