"""Every random choice as a pure function of where in the run it is made.

A draw depends on the run's seed, the name of its stream and its position (epoch, sample id, step), never on how many
draws came before it. A resumed run therefore repeats an uninterrupted one, any number of loader workers gives the same
views, and one process or eight give the same global batches.

The generator is Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def _stream_key(stream: str) -> int:
    return int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")


def generator(seed: int, stream: str, *position: int) -> np.random.Generator:
    """A generator for one position of one stream.

    Args:
        seed: The run's seed, a non-negative integer below 2**64.
        stream: The name of the choice, such as ``"view"`` or ``"mix"``.
        position: Up to three non-negative integers, such as (epoch, sample id).

    Returns:
        A fresh generator; equal arguments give equal draws.
    """
    if len(position) > 3:
        raise ValueError(f"a position has at most three coordinates, got {position}")
    # The lowest counter word is left to the draws themselves.
    counter = np.zeros(4, dtype=np.uint64)
    counter[1 : 1 + len(position)] = position
    key = np.array([seed, _stream_key(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def epoch_order(num_samples: int, seed: int, epoch: int, stream: str = "order") -> np.ndarray:
    """The order of an epoch: a permutation of ``range(num_samples)``, int64, from (seed, epoch, stream) alone."""
    raw = generator(seed, stream, epoch).bit_generator.random_raw(num_samples)
    return np.argsort(raw, kind="stable")


def torch_seed(seed: int, stream: str, *position: int) -> int:
    """A seed for torch's own generators (initialisation, dropout, stochastic depth), below 2**63."""
    return int(generator(seed, stream, *position).bit_generator.random_raw() >> 1)


def seed_torch(seed: int, stream: str, *position: int) -> None:
    """Seed torch's global CPU and accelerator generators for one position of one stream."""
    torch.manual_seed(torch_seed(seed, stream, *position))
