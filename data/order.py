"""Which images a step takes, on which rank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..base.errors import UsageError
from .randomness import epoch_order


def share_of(batch_size: int, world_size: int) -> int:
    """How many images of each batch a process takes.

    Raises:
        UsageError: They are not as many for each.
    """
    if batch_size % world_size:
        raise UsageError(
            f"the batch size {batch_size} cannot be shared evenly by {world_size} processes",
            hint=f"use a multiple of {world_size}",
        )
    return batch_size // world_size


@dataclass(frozen=True)
class BatchOrder:
    """The order of a run's images: each epoch a permutation, each step a global batch, each rank a slice of it.

    What is left at the end of an epoch, less than a global batch, is not used in that epoch.

    With ``views_per_decode`` M, M epochs go through one permutation, each image's M views side by side in a batch: the
    very views that it would have in these M epochs, one in each, decoded once in place of M times.

    With ``unlabeled_share`` each batch is drawn from two sets: the labelled images, and the unlabeled ones that follow
    them in the source. Each set is gone through in one permutation after another, whatever the epoch; an epoch has the
    steps that the labelled images alone would have.

    Attributes:
        num_samples: Images in the source.
        batch_size: Images in a global batch.
        epochs: Epochs of the run.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes; divides the batch size.
        num_unlabeled: How many of the source's images, the last ones, are the second set; of use with a share only.
        unlabeled_share: Share of each batch that is drawn from them, evenly spread over its rows; None to shuffle all
            images together.
        views_per_decode: Views of an image side by side.
    """

    num_samples: int
    batch_size: int
    epochs: int
    seed: int
    rank: int = 0
    world_size: int = 1
    num_unlabeled: int = 0
    unlabeled_share: float | None = None
    views_per_decode: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_samples < self.batch_size:
            raise UsageError(
                f"a batch of {self.batch_size:,} images cannot be made of {self.num_samples:,}",
                hint=f"use a --batch-size from 1 to {self.num_samples:,}",
            )
        share_of(self.batch_size, self.world_size)
        if self.views_per_decode > 1 and self.unlabeled_share is not None:
            raise UsageError(
                "batches that are drawn from two sets have one view of each image",
                hint="--set training.views_per_decode=1",
            )
        if self.unlabeled_share is not None:
            self._check_sets(self.unlabeled_share)

    def _check_sets(self, share: float) -> None:
        drawn = int(self._is_unlabeled().sum())
        if not 0 < drawn < self.batch_size:
            raise UsageError(
                f"a share of {share:g} unlabeled images makes {drawn} of a batch of {self.batch_size}",
                hint="use a larger --batch-size, or a share nearer to a half",
            )
        labelled = self.num_samples - self.num_unlabeled
        for name, count, needed in (
            ("unlabeled", self.num_unlabeled, drawn),
            ("labelled", labelled, self.batch_size),
        ):
            if count < needed:
                raise UsageError(
                    f"a batch of {self.batch_size:,} needs {needed:,} {name} images, there are {count:,}",
                    hint="use a smaller --batch-size, or more images",
                )

    @property
    def steps_per_epoch(self) -> int:
        """Whole global batches in an epoch."""
        unlabeled = 0 if self.unlabeled_share is None else self.num_unlabeled
        return (self.num_samples - unlabeled) // self.batch_size

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
        if self.unlabeled_share is not None:
            whole = self._of_two_sets(epoch * self.steps_per_epoch + step)
            return whole[self.rank * share : (self.rank + 1) * share]
        return self._images(epoch, np.arange(share) + self.first_row(step))

    def view_epochs(self, epoch: int, step: int) -> np.ndarray:
        """Which epoch's view each of these images has: int64, (batch_size / world_size,)."""
        rows = np.arange(len(self.ids(epoch, step))) + self.first_row(step)
        views, start = self.views_per_decode, epoch % self.views_per_decode * self.num_samples
        return np.asarray(epoch - epoch % views + (start + rows) % views)

    def _images(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """The images at these places of an epoch."""
        turn, part = divmod(epoch, self.views_per_decode)
        places = (part * self.num_samples + rows) // self.views_per_decode
        return np.asarray(cached_order(self.num_samples, self.seed, turn, "order")[places])

    def first_row(self, step: int) -> int:
        """Place of this rank's first image among the images of an epoch, in the order in which steps take them."""
        return step * self.batch_size + self.rank * (self.batch_size // self.world_size)

    def _is_unlabeled(self) -> np.ndarray:
        """Which rows of a global batch are of the second set: bool, (batch_size,)."""
        assert self.unlabeled_share is not None
        counts = np.floor(np.arange(self.batch_size + 1) * self.unlabeled_share)
        return np.diff(counts) > 0

    def _of_two_sets(self, done: int) -> np.ndarray:
        """The global batch after ``done`` steps of the run: int64, (batch_size,)."""
        is_unlabeled = self._is_unlabeled()
        labelled = self.num_samples - self.num_unlabeled
        ids = np.empty(self.batch_size, dtype=np.int64)
        for rows, name, first, size in (
            (~is_unlabeled, "labelled", 0, labelled),
            (is_unlabeled, "unlabeled", labelled, self.num_unlabeled),
        ):
            taken = int(rows.sum())
            ids[rows] = first + self._in_turn(f"order/{name}", size, done * taken, taken)
        return ids

    def _in_turn(self, stream: str, size: int, start: int, count: int) -> np.ndarray:
        """Places ``start`` to ``start + count`` of a set's permutations, one after another."""
        parts = []
        while count > 0:
            turn, place = divmod(start, size)
            part = cached_order(size, self.seed, turn, stream)[place : place + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts)


@dataclass(frozen=True)
class WholeEpochs(BatchOrder):
    """The same order, to the last image: what is left at the end of an epoch is one more, smaller step.

    For one process and one set of images.
    """

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch, the smaller one included."""
        return -(-self.num_samples // self.batch_size)

    def ids(self, epoch: int, step: int) -> np.ndarray:
        """Positions in the source of a step's images: int64, (batch_size,), or fewer in an epoch's last step."""
        if not 0 <= step < self.steps_per_epoch:
            raise IndexError(f"step {step} of {self.steps_per_epoch}")
        start = step * self.batch_size
        return self._images(epoch, np.arange(start, min(start + self.batch_size, self.num_samples)))


@lru_cache(maxsize=4)
def cached_order(num_samples: int, seed: int, epoch: int, stream: str = "order") -> np.ndarray:
    """As `epoch_order`; the last few are kept."""
    return epoch_order(num_samples, seed, epoch, stream)
