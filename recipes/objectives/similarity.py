"""MEAL's block-wise similarity and its discriminators, one a block.

Shen, He, Xue, "MEAL: Multi-Model Ensemble via Adversarial Learning", AAAI 2019, arXiv 1812.02425. At each chosen
block student and teacher are brought to the same length, compared, and told apart by a small discriminator. The
recipe chooses one teacher a batch. The lengths, weights and pooling published for CIFAR-10 are the recipe's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Similarity = Literal["cross_entropy", "l1", "l2", "l1_softmax", "l2_softmax"]


def pool_block(features: Tensor, length: int, *, pooling: Literal["avg", "max"] = "avg") -> Tensor:
    """Brings a block's output to a fixed length, whatever its channels and size.

    The H·W positions of each channel are adaptively pooled to ``length`` (repeated where there are fewer), then the
    channels are pooled away. Logits go into the comparison as they are.

    Args:
        features: (B, C, H, W).
        length: L.
        pooling: Average or maximum, in both steps.

    Returns:
        (B, L).
    """
    positions = features.flatten(2)
    if pooling == "avg":
        return F.adaptive_avg_pool1d(positions, length).mean(dim=1)
    return F.adaptive_max_pool1d(positions, length).amax(dim=1)


def block_similarity(student: Tensor, teacher: Tensor, kind: Similarity = "cross_entropy") -> Tensor:
    """How far a block of the student's is from the teacher's.

    Args:
        student: (B, L).
        teacher: (B, L).
        kind: ``cross_entropy``: −Σ softmax(teacher) · log softmax(student), averaged over the batch (the default,
            smallest, not zero, at equality). ``l1``, ``l2``: mean absolute or squared difference over all B·L
            numbers; with ``_softmax`` of both sides' softmax.
    """
    if kind == "cross_entropy":
        return -(F.softmax(teacher, dim=1) * F.log_softmax(student, dim=1)).sum(dim=1).mean()
    if kind.endswith("_softmax"):
        student, teacher = F.softmax(student, dim=1), F.softmax(teacher, dim=1)
    return F.l1_loss(student, teacher) if kind.startswith("l1") else F.mse_loss(student, teacher)


def similarity_terms(
    student: Sequence[Tensor], teacher: Sequence[Tensor], weights: Sequence[float], kind: Similarity = "cross_entropy"
) -> dict[str, Tensor]:
    """``similarity_0``, ``similarity_1``, …: the weighted comparison of each block.

    Args:
        student: One (B, L_k) tensor a block.
        teacher: Likewise, of the same shapes.
        weights: One a block.
    """
    return {
        f"similarity_{k}": weight * block_similarity(s, t, kind)
        for k, (s, t, weight) in enumerate(zip(student, teacher, weights, strict=True))
    }


class BlockDiscriminator(nn.Module):
    """Three linear layers, a ReLU after each of them, to two logits: (student, teacher).

    The last ReLU keeps both logits from going below zero, so that each half of the loss stays above ln 2 / 2.

    Args:
        length: L of the block.
        reduction: Each hidden layer's width is its input's divided by this.
    """

    def __init__(self, length: int, reduction: int = 2) -> None:
        super().__init__()
        if length < reduction**2:
            raise ValueError(f"a discriminator with reduction {reduction} needs length {reduction**2}, got {length}")
        first, second = length // reduction, length // reduction // reduction
        self.layers = nn.Sequential(
            nn.Linear(length, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 2), nn.ReLU()
        )

    def forward(self, block: Tensor) -> Tensor:
        """(B, L) to (B, 2)."""
        return self.layers(block)


class BlockDiscriminators(nn.Module):
    """One discriminator a block.

    Args:
        lengths: Of the blocks.
        reduction: As in ``BlockDiscriminator``.
    """

    def __init__(self, lengths: Sequence[int], reduction: int = 2) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(BlockDiscriminator(length, reduction) for length in lengths)

    def terms(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], weights: Sequence[float]
    ) -> dict[str, Tensor]:
        """``discriminator_0``, …: each block's weighted binary cross-entropy over rows and both columns.

        Student rows are labelled (1, 0) and teacher rows (0, 1). As published nothing is detached or reversed: what
        is minimised also moves the student, towards blocks that are easier to tell apart.

        Args:
            student: One (B, L_k) tensor a block.
            teacher: Likewise.
            weights: One a block.
        """
        terms = {}
        for k, (network, s, t, weight) in enumerate(zip(self.discriminators, student, teacher, weights, strict=True)):
            logits = network(torch.cat([s, t]))
            labels = torch.zeros_like(logits)
            labels[: len(s), 0] = 1.0
            labels[len(s) :, 1] = 1.0
            terms[f"discriminator_{k}"] = weight * F.binary_cross_entropy_with_logits(logits, labels)
        return terms
