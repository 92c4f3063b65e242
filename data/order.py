"""Which images a step takes, on which rank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import UsageError
from .randomness import epoch_order


@dataclass(frozen=True)
class BatchOrder:
    """The order of a run's images: each epoch a permutation, each step a global batch, each rank a slice of it.

    What is left at the end of an epoch, less than a global batch, is not used in that epoch.

    Attributes:
        num_samples: Images in the source.
        batch_size: Images in a global batch.
        epochs: Epochs of the run.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes; divides the batch size.
    """

    num_samples: int
    batch_size: int
    epochs: int
    seed: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_samples < self.batch_size:
            raise UsageError(
                f"a batch of {self.batch_size:,} images cannot be made of {self.num_samples:,}",
                hint=f"use a --batch-size from 1 to {self.num_samples:,}",
            )
        if self.batch_size % self.world_size:
            raise UsageError(
                f"the batch size {self.batch_size} cannot be shared evenly by {self.world_size} processes",
                hint=f"use a multiple of {self.world_size}",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole global batches in an epoch."""
        return self.num_samples // self.batch_size

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    def ids(self, epoch: int, step: int) -> np.ndarray:
        """Positions in the source of this rank's images: int64, (batch_size / world_size,).

        The ranks' slices, in rank order, are the global batch.
        """
        if not 0 <= step < self.steps_per_epoch:
            raise IndexError(f"step {step} of {self.steps_per_epoch}")
        share = self.batch_size // self.world_size
        start = step * self.batch_size + self.rank * share
        return _cached_order(self.num_samples, self.seed, epoch)[start : start + share].copy()


@lru_cache(maxsize=2)
def _cached_order(num_samples: int, seed: int, epoch: int) -> np.ndarray:
    return epoch_order(num_samples, seed, epoch)
