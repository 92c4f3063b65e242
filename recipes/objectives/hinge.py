"""The hinge losses of a generator and the discriminator that it plays against. Scores are float, (B,)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def hinge_discrimination(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """mean max(0, 1 − D(x, y)) + mean max(0, 1 + D(G(z, y), y)): SAGAN (arXiv 1805.08318) Eq. 4, the first line.

    Args:
        real_scores: (B,).
        fake_scores: (B,).

    Returns:
        A scalar, at least 0; 2 at scores of 0.
    """
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def hinge_generation(fake_scores: Tensor) -> Tensor:
    """−mean D(G(z, y), y): SAGAN Eq. 4, the second line. A scalar of either sign."""
    return -fake_scores.mean()
