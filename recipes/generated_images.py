"""What a generator is asked for, image by image.

What is drawn for an image depends on the run's seed, the stream, the epoch and the sample id alone, so that a resumed
run and any number of processes ask for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Wanted(NamedTuple):
    """What a generator is asked for.

    Attributes:
        latent: z, standard normal, float32, (B, latent features).
        classes: i, int64, (B,).
        others: j, int64, (B,); another class than i where there are two.
        weight: λ, float32, (B,); 1 where classes are not mixed.
    """

    latent: Tensor
    classes: Tensor
    others: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Wanted:
        """The same on a device."""
        return Wanted(*(tensor.to(device, non_blocking=True) for tensor in self))


def draw_wanted(
    draws: Callable[[int], np.random.Generator],
    ids: Sequence[int],
    *,
    latent_features: int,
    num_classes: int,
    class_mix_alpha: float | None,
) -> Wanted:
    """Draw what a generator is asked for, one image for each id.

    Args:
        draws: The random numbers of an id.
        ids: Sample ids.
        latent_features: Length of z.
        num_classes: C; classes are uniform.
        class_mix_alpha: Both parameters of λ's Beta distribution; None for single classes, λ = 1.
    """
    rows = []
    for sample in ids:
        rng = draws(sample)
        latent = rng.standard_normal(latent_features, dtype=np.float32)
        first = int(rng.integers(num_classes))
        other = (first + 1 + int(rng.integers(max(1, num_classes - 1)))) % num_classes
        weight = 1.0 if class_mix_alpha is None else float(rng.beta(class_mix_alpha, class_mix_alpha))
        rows.append((latent, first, other, weight))
    latents, firsts, others, weights = zip(*rows, strict=True)
    return Wanted(
        torch.from_numpy(np.stack(latents)),
        torch.tensor(firsts),
        torch.tensor(others),
        torch.tensor(weights, dtype=torch.float32),
    )
