"""Which images an iteration takes: permutation after permutation without an end, as mmengine's InfiniteSampler."""

from __future__ import annotations

from ..order import cached_order, share_of


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
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self._rank, self._share = rank, share_of(batch_size, world_size)

    def ids(self, iteration: int) -> list[tuple[int, int]]:
        """(epoch, image) of each of this rank's images in a 0-based iteration."""
        start = iteration * self.batch_size + self._rank * self._share
        places = [divmod(position, self.num_samples) for position in range(start, start + self._share)]
        return [(epoch, int(cached_order(self.num_samples, self.seed, epoch)[place])) for epoch, place in places]
