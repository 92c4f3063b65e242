"""Which images an iteration takes: permutation after permutation without an end, as mmengine's InfiniteSampler."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...base.errors import UsageError
from ..randomness import epoch_order


class EndlessOrder:
    """The order of a run's images; a batch may reach from one epoch into the next.

    Args:
        num_samples: Images.
        batch_size: Images in a global batch.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes; divides the batch size.

    Raises:
        UsageError: The batch cannot be shared by so many processes.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int, *, rank: int = 0, world_size: int = 1) -> None:
        if batch_size % world_size:
            raise UsageError(
                f"the batch size {batch_size} cannot be shared evenly by {world_size} processes",
                hint=f"use a multiple of {world_size}",
            )
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self._rank, self._share = rank, batch_size // world_size

    def ids(self, iteration: int) -> list[tuple[int, int]]:
        """(epoch, image) of each of this rank's images in a 0-based iteration."""
        start = iteration * self.batch_size + self._rank * self._share
        places = [divmod(position, self.num_samples) for position in range(start, start + self._share)]
        return [(epoch, int(_permutation(self.num_samples, self.seed, epoch)[place])) for epoch, place in places]


@lru_cache(maxsize=4)
def _permutation(num_samples: int, seed: int, epoch: int) -> np.ndarray:
    return epoch_order(num_samples, seed, epoch, "order")
