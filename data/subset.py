"""Part of a data set, such as training images that are held out to choose a setting on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .randomness import epoch_order
from .reading import Reading
from .sources import ImageSource


class SubsetSource(ImageSource):
    """Some images of another source, in the order that is given.

    Args:
        source: Where they are from.
        indices: Their positions there.
        split: What they are, in place of the source's own split.
        class_names: In place of the source's own, with ``labels``.
        labels: One an index.
    """

    def __init__(
        self,
        source: ImageSource,
        indices: Sequence[int] | np.ndarray,
        *,
        split: str | None = None,
        class_names: Sequence[str] | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        super().__init__(
            source.name,
            source.split if split is None else split,
            source.class_names if class_names is None else class_names,
            source.labels[self.indices] if labels is None else labels,
            native_size=source.native_size,
            path=source.path,
            target_names=source.target_names,
            targets=None if source.targets is None else source.targets[self.indices],
            conditions=None if source.conditions is None else source.conditions[self.indices],
        )
        self.reading = source.reading
        self.sizes = None if source.sizes is None else source.sizes[self.indices]
        self.notes = source.notes

    @classmethod
    def of_labels(cls, source: ImageSource, class_names: Sequence[str], labels: np.ndarray) -> SubsetSource:
        """All images of a source under other labels, and without its targets."""
        found = cls(source, np.arange(len(source)), class_names=class_names, labels=labels)
        found.target_names, found.targets = (), None
        return found

    def orientation(self, index: int) -> int:
        return self.source.orientation(int(self.indices[index]))

    def read_as(self, reading: Reading) -> None:
        self.source.read_as(reading)
        self.reading = reading

    def load(self, index: int) -> Image.Image:
        return self.source.load(int(self.indices[index]))

    def identity(self, index: int) -> str:
        return self.source.identity(int(self.indices[index]))

    def encoded(self, index: int) -> bytes | None:
        return self.source.encoded(int(self.indices[index]))

    def file(self, index: int) -> str | None:
        return self.source.file(int(self.indices[index]))


def held_out_indices(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two parts of a data set, each class in proportion: what stays, and what is held out. Both int64, sorted.

    A class of one image stays whole; every other gives at least one image and keeps at least one.

    Args:
        labels: int, (N,); equal ones are shared out together, whatever they mean.
        fraction: Of each class, to be held out; in (0, 1).
        seed: Which ones.
    """
    held: list[int] = []
    for number, label in enumerate(np.unique(labels)):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held += members[epoch_order(len(members), seed, number)[:count]].tolist()
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)
