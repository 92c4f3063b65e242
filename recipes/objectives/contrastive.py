"""Contrastive representation distillation (CRD): terms, memory banks and negatives.

Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv 1910.10699. Where the paper leaves
a choice open this follows the authors' code (RepDistiller, crd/criterion.py and crd/memory.py).

Each image has a stored embedding of the student's and of the teacher's features. The student's current embedding is
scored against the teacher's bank and the teacher's current embedding against the student's bank; in each pair one
stored vector is the positive and K are negatives. Stored vectors are constants, refreshed after they were scored.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-7  # as in the authors' criterion.py
_DENSE_ROWS = 16  # rows of a bank for each candidate up to which scoring the whole bank is the cheaper way


class ContrastiveOutput(NamedTuple):
    """What a CRD step gives.

    Attributes:
        loss: The sum over both directions, a scalar, unweighted.
        student_embedding: (B, D), unit length, detached; what ``update`` stores.
        teacher_embedding: (B, D), likewise.
    """

    loss: Tensor
    student_embedding: Tensor
    teacher_embedding: Tensor


class Embedding(nn.Module):
    """A linear map to the comparison space, scaled to unit length.

    Args:
        feature_dim: Width of the features.
        embedding_dim: D.
    """

    def __init__(self, feature_dim: int, embedding_dim: int = 128) -> None:
        super().__init__()
        self.linear = nn.Linear(feature_dim, embedding_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(B, ...) features, flattened to (B, feature_dim), to (B, D) vectors of length 1, in float32 or float64."""
        embedded = self.linear(features.flatten(1))
        if embedded.dtype not in (torch.float32, torch.float64):
            embedded = embedded.float()
        return F.normalize(embedded, dim=1)


def contrastive_loss(scores: Tensor, num_images: int) -> Tensor:
    """The noise-contrastive loss of one direction (Eq. 18 of the paper's first version).

    −(1/B) Σ_i [ log(g⁺ / (g⁺ + K/N + ε)) + Σ_k log((K/N) / (g⁻_k + K/N + ε)) ], ε = 1e-7

    Args:
        scores: (B, 1+K), normalised scores g, the positive first.
        num_images: N, images in the training set.
    """
    num_negatives = scores.shape[1] - 1
    noise = num_negatives / num_images
    positive, negatives = scores[:, 0], scores[:, 1:]
    log_positive = torch.log(positive / (positive + noise + _EPSILON))
    log_negatives = torch.log(noise / (negatives + noise + _EPSILON))
    return -(log_positive.sum() + log_negatives.sum()) / scores.shape[0]


class ContrastiveDistillation(nn.Module):
    """Both embeddings, both banks and the loss. Banks and normalisers are buffers and travel with every checkpoint.

    Args:
        student_dim: Width of the student's features.
        teacher_dim: Width of the teacher's features.
        num_images: N, rows of each bank.
        embedding_dim: D.
        temperature: Divides the inner products of unit vectors.
        momentum: Weight of the old vector when a row is refreshed.

    Attributes:
        student_bank: (N, D) float32, starts uniform in ±1/√(D/3).
        teacher_bank: Likewise.
        normalizers: (2,) float32: Z of the student's scores and of the teacher's, N times the mean unnormalised score
            of the first batch; −1 until then. They are constants from then on, and the loss depends on them.
    """

    student_bank: Tensor
    teacher_bank: Tensor
    normalizers: Tensor

    def __init__(
        self,
        student_dim: int,
        teacher_dim: int,
        num_images: int,
        *,
        embedding_dim: int = 128,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        self.num_images, self.temperature, self.momentum = num_images, temperature, momentum
        self.student_embed = Embedding(student_dim, embedding_dim)
        self.teacher_embed = Embedding(teacher_dim, embedding_dim)
        bound = 1.0 / math.sqrt(embedding_dim / 3)
        self.register_buffer("student_bank", torch.empty(num_images, embedding_dim).uniform_(-bound, bound))
        self.register_buffer("teacher_bank", torch.empty(num_images, embedding_dim).uniform_(-bound, bound))
        self.register_buffer("normalizers", torch.full((2,), -1.0))

    def _raw_scores(self, embedding: Tensor, bank: Tensor, candidates: Tensor) -> Tensor:
        # A product of unit vectors divided by 0.07 and put into exp() has no room for half precision's error.
        with torch.autocast(embedding.device.type, enabled=False):
            if scores_whole_bank(bank.shape[0], candidates.shape[1]):
                products = (embedding @ bank.to(embedding.dtype).T).gather(1, candidates)
            else:
                stored = bank[candidates.flatten()].view(*candidates.shape, -1).to(embedding.dtype)
                products = torch.bmm(stored, embedding.unsqueeze(2)).squeeze(2)
        return torch.exp(products / self.temperature)

    @torch.no_grad()
    def first_normalizers(self, student_features: Tensor, teacher_features: Tensor, candidates: Tensor) -> Tensor:
        """What ``normalizers`` would become on this batch, (2,).

        A run of several processes averages this over them and copies the mean into ``normalizers`` before the first
        step, so that all hold what one process with the whole batch would.
        """
        student = self._raw_scores(self.student_embed(student_features), self.teacher_bank, candidates)
        teacher = self._raw_scores(self.teacher_embed(teacher_features), self.student_bank, candidates)
        return torch.stack([student.mean(), teacher.mean()]).to(self.normalizers.dtype) * self.num_images

    def forward(self, student_features: Tensor, teacher_features: Tensor, candidates: Tensor) -> ContrastiveOutput:
        """Scores a batch; the first call also fixes the normalisers, none changes the banks.

        Gradients reach the student's features and both embeddings' weights.

        Args:
            student_features: (B, student_dim).
            teacher_features: (B, teacher_dim).
            candidates: (B, 1+K) int64 rows of the banks, the positive (as a rule the image itself) first.
        """
        student, teacher = self.student_embed(student_features), self.teacher_embed(teacher_features)
        student_scores = self._raw_scores(student, self.teacher_bank, candidates)
        teacher_scores = self._raw_scores(teacher, self.student_bank, candidates)
        with torch.no_grad():
            batch = torch.stack([student_scores.mean(), teacher_scores.mean()]) * self.num_images
            self.normalizers.copy_(torch.where(self.normalizers < 0, batch.to(self.normalizers), self.normalizers))
        # A copy: the buffer itself may be written before this loss goes backward.
        student_z, teacher_z = self.normalizers.clone()
        loss = contrastive_loss(student_scores / student_z, self.num_images)
        loss = loss + contrastive_loss(teacher_scores / teacher_z, self.num_images)
        return ContrastiveOutput(loss, student.detach(), teacher.detach())

    @torch.no_grad()
    def update(self, indices: Tensor, student_embedding: Tensor, teacher_embedding: Tensor) -> None:
        """Refreshes the batch's rows: momentum · old + (1 − momentum) · new, scaled back to unit length.

        Args:
            indices: (B,) int64, distinct rows of the banks. A run of several processes passes all processes' rows.
            student_embedding: (B, D) from ``forward``.
            teacher_embedding: Likewise.
        """
        for bank, embedding in ((self.student_bank, student_embedding), (self.teacher_bank, teacher_embedding)):
            mixed = self.momentum * bank[indices] + (1 - self.momentum) * embedding.to(bank)
            bank.index_copy_(0, indices, F.normalize(mixed, dim=1))


def scores_whole_bank(num_images: int, num_candidates: int) -> bool:
    """Whether every row is scored and the candidates' scores are picked, instead of gathering the candidates' rows.

    The same numbers either way, but one matrix product reads each stored vector once a batch, where gathering copies it
    for each image that it is a candidate of.
    """
    return num_images <= _DENSE_ROWS * num_candidates


class OtherClasses:
    """The images of all classes but one, addressed by rank: turns the caller's draws into negatives.

    The caller draws ranks from its own generator, ``[0, pool_size(label))``, with or without replacement.

    Args:
        labels: (N,) int64 of the whole training set, all at least 0.

    Raises:
        ValueError: For an unlabelled image.
    """

    def __init__(self, labels: Tensor) -> None:
        if labels.numel() and int(labels.min()) < 0:
            raise ValueError("negatives of another class need a label for every image")
        self._order = torch.argsort(labels, stable=True)
        self._counts = torch.bincount(labels)
        self._starts = torch.cumsum(self._counts, dim=0) - self._counts

    def pool_size(self, label: int) -> int:
        """How many images are of another class than ``label``; 0 where there is one class only."""
        return int(self._order.numel() - self._counts[label])

    def images(self, labels: Tensor, ranks: Tensor) -> Tensor:
        """(B,) labels and (B, K) ranks, int64, to (B, K) rows of the training set, none of its row's class.

        Raises:
            ValueError: For a rank outside the pool, as any is where all images are of one class.
        """
        start, count = self._starts[labels].unsqueeze(1), self._counts[labels].unsqueeze(1)
        if ranks.numel() and (int(ranks.min()) < 0 or bool((ranks >= self._order.numel() - count).any())):
            raise ValueError("a negative's rank lies outside the images of other classes")
        return self._order[torch.where(ranks >= start, ranks + count, ranks)]


def memory_bytes(num_images: int, batch_size: int, num_negatives: int, *, embedding_dim: int = 128) -> dict[str, int]:
    """What CRD takes in memory, in bytes, beyond the networks.

    Returns:
        ``banks``: both float32 banks, held all the time (and written into every checkpoint). ``step``: for both
        directions of a step, kept until its backward pass: the whole bank's scores, their gradients and the candidates'
        scores; or, where the candidates are few beside the bank, their gathered vectors.
    """
    candidates = num_negatives + 1
    values = (
        2 * num_images + 4 * candidates if scores_whole_bank(num_images, candidates) else candidates * embedding_dim
    )
    return {"banks": 2 * num_images * embedding_dim * 4, "step": 2 * batch_size * values * 4}
