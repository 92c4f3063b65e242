"""Which images an iteration takes: pure functions of the seed, grouped by orientation so that little is padding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...base.errors import UsageError
from ..order import share_of
from ..randomness import epoch_order

_GROUP = 2
"""Images of one orientation side by side: what detectron2 groups on each of the 8 GPUs of its 16-image batches."""


class BoxOrder:
    """The order of a run's images.

    Each epoch is a permutation from (seed, epoch); pairs of wide images and pairs of tall ones are taken in the order
    in which they become complete (detectron2's ASPECT_RATIO_GROUPING with two images a GPU). What is left at the end of
    an epoch is not used in it.

    Args:
        sizes: (N, 2), width and height of each image.
        batch_size: Images in a global batch.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes; divides the batch size.

    Raises:
        UsageError: A batch cannot be made of so many images, or shared by so many processes.
    """

    def __init__(self, sizes: np.ndarray, batch_size: int, seed: int, *, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1 or len(sizes) < batch_size:
            raise UsageError(
                f"a batch of {batch_size} images cannot be made of {len(sizes):,}",
                hint=f"use a --batch-size from 1 to {len(sizes):,}",
            )
        self.batch_size, self._share = batch_size, share_of(batch_size, world_size)
        self._wide = np.asarray(sizes[:, 0] > sizes[:, 1])
        self._seed, self._rank = seed, rank
        self._group = _GROUP if batch_size % _GROUP == 0 else 1
        usable = sum(int(count) // self._group * self._group for count in (self._wide.sum(), (~self._wide).sum()))
        self.steps_per_epoch = usable // batch_size
        if self.steps_per_epoch == 0:  # nearly all images in half-filled pairs: take them as they come
            self._group = 1
            self.steps_per_epoch = len(sizes) // batch_size

    def ids(self, iteration: int) -> tuple[int, np.ndarray]:
        """The epoch of a 0-based iteration, and this rank's images: int64, (batch_size / world_size,)."""
        epoch, step = divmod(iteration, self.steps_per_epoch)
        start = step * self.batch_size + self._rank * self._share
        order = _grouped(self._wide.tobytes(), self._seed, epoch, self._group)
        return epoch, order[start : start + self._share].copy()


@lru_cache(maxsize=4)
def _grouped(wide: bytes, seed: int, epoch: int, group: int) -> np.ndarray:
    is_wide = np.frombuffer(wide, dtype=bool)
    order = epoch_order(len(is_wide), seed, epoch, "order")
    if group == 1:
        return order
    places = []
    for kind in (True, False):
        every = np.flatnonzero(is_wide[order] == kind)
        places.append(every[: len(every) // group * group].reshape(-1, group))
    pairs = np.concatenate(places)
    return order[pairs[np.argsort(pairs[:, -1], kind="stable")]].reshape(-1)  # as each becomes complete
