"""Comparing a student's features with a teacher's of another width and another resolution.

Wei et al., "Contrastive Learning Rivals Masked Image Modeling in Fine-tuning via Feature Distillation", 2022, arXiv
2205.14141: the teacher's features are normalised over their channels without an affine part, the student's are mapped
to their width by one linear map, and a smooth L1 loss compares them. The cosine beside it is AM-RADIO's, arXiv
2312.06709.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def whitened(features: Tensor) -> Tensor:
    """Features of mean 0 and variance 1 over their channels, the last axis."""
    return F.layer_norm(features, features.shape[-1:])


def distances(student: Tensor, teacher: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """How far mapped features of a student are from a teacher's, image by image.

    Args:
        student: (B, …, D), mapped to the teacher's width.
        teacher: (B, …, D), whitened here.
        beta: Difference from which on the smooth L1 loss grows linearly.

    Returns:
        1 − cosine and smooth L1, (B,) each: means over the places and, of the latter, over the channels.
    """
    target = whitened(teacher)
    cosine = 1.0 - F.cosine_similarity(student, target, dim=-1)
    smooth = F.smooth_l1_loss(student, target, beta=beta, reduction="none").mean(dim=-1)
    return cosine.reshape(len(cosine), -1).mean(dim=1), smooth.reshape(len(smooth), -1).mean(dim=1)


def places(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """A map averaged over the cells of a coarser grid, its channels last: (B, C, H, W) to (B, h, w, C).

    Each cell takes the share of every position that it covers, so that grids of any two sizes meet place by place. As
    products of matrices: the gradient is the same at each run on every device.

    Args:
        maps: (B, C, H, W).
        size: h and w, at most H and W.
    """
    if maps.shape[-2:] == size:
        return maps.movedim(1, -1)
    rows, columns = (_shares(have, want).to(maps) for have, want in zip(maps.shape[-2:], size, strict=True))
    return torch.einsum("hH,bcHW,wW->bhwc", rows, maps, columns)


def coarser(first: Tensor, second: Tensor) -> tuple[int, int]:
    """The smaller height and the smaller width of two maps."""
    return min(first.shape[-2], second.shape[-2]), min(first.shape[-1], second.shape[-1])


def _shares(have: int, want: int) -> Tensor:
    """The share of each of ``have`` positions in each of ``want`` cells of the same length, (want, have)."""
    edges, starts = torch.arange(want + 1) * (have / want), torch.arange(have)
    overlap = torch.minimum(edges[1:, None], starts + 1) - torch.maximum(edges[:-1, None], starts)
    return overlap.clamp_min(0.0) * (want / have)
