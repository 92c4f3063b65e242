"""Learning from labels: cross-entropy, both definitions of label smoothing, mixed labels; several labels an image.

Every function takes float logits (B, C) and int64 labels (B,), or targets (B, C), and returns a scalar: mean over the
batch, in nats.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Smoothing = Literal["all_classes", "other_classes"]


def label_distribution(
    labels: Tensor, num_classes: int, smoothing: float, definition: Smoothing, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Smoothed one-hot labels, (B, C).

    Args:
        labels: (B,).
        num_classes: C.
        smoothing: ε.
        definition: ``all_classes``: ε/C on every class, the true one included (C. Szegedy et al., arXiv 1512.00567, §7;
            torch's own). ``other_classes``: 1 − ε on the true class and ε/(C − 1) on each other one (XCL, arXiv
            2007.00051, supplement Eq. 1).
        dtype: Of the result.
    """
    if definition == "all_classes":
        off, on = smoothing / num_classes, 1 - smoothing + smoothing / num_classes
    else:
        off, on = smoothing / (num_classes - 1), 1 - smoothing
    target = torch.full((len(labels), num_classes), off, dtype=dtype, device=labels.device)
    return target.scatter_(1, labels[:, None], on)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """N / (K · n_c) for each class, (C,), float32: K classes have images, class c has n_c of N; 0 where it has none.

    Args:
        labels: int64, (N,); -1 where an image has none, which then does not count.
        num_classes: C.
    """
    counts = labels[labels >= 0].bincount(minlength=num_classes)
    present = counts > 0
    return torch.where(present, counts.sum() / (present.sum() * counts), 0.0)


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    definition: Smoothing = "all_classes",
    weights: Tensor | None = None,
) -> Tensor:
    """(1/B) Σ_i w_i (−Σ_c q_ic log softmax(z_i)_c) with q from ``label_distribution``.

    Divided by B, not by the weights' sum, so that a batch in parts or on several processes has the same gradient.

    Args:
        logits: (B, C).
        labels: (B,).
        smoothing: ε.
        definition: Of the smoothing.
        weights: (C,), w_i by the image's own class; None: all 1.
    """
    if smoothing == 0 and weights is None:
        return functional.cross_entropy(logits, labels)
    target = label_distribution(labels, logits.shape[1], smoothing, definition, logits.dtype)
    losses = -(target * logits.log_softmax(dim=1)).sum(dim=1)
    return (losses if weights is None else weights[labels] * losses).mean()


def mixed_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    mixed_labels: Tensor | None,
    mix_weight: float,
    smoothing: float = 0.0,
    definition: Smoothing = "all_classes",
    weights: Tensor | None = None,
) -> Tensor:
    """λ·CE(labels) + (1 − λ)·CE(mixed_labels) for MixUp's and CutMix's images (arXiv 1710.09412, 1905.04899 Eq. 1).

    Args:
        logits: (B, C), of the mixed images.
        labels: The images' own labels.
        mixed_labels: The labels of what was mixed in, or None for an unmixed batch.
        mix_weight: λ; CutMix's is the share of pixels that stayed.
        smoothing: ε.
        definition: Of the smoothing.
        weights: (C,), of each class; None: all 1.
    """
    loss = cross_entropy(logits, labels, smoothing, definition, weights)
    if mixed_labels is None:
        return loss
    mixed = cross_entropy(logits, mixed_labels, smoothing, definition, weights)
    return mix_weight * loss + (1 - mix_weight) * mixed


def smoothed_targets(targets: Tensor, smoothing: float, definition: Smoothing) -> Tensor:
    """Targets of classes that do not exclude each other, (B, C), smoothed as `label_distribution` does: each class has
    two outcomes, so ε/2 or ε is taken from the one that is right and given to the other."""
    off = smoothing / 2 if definition == "all_classes" else smoothing
    return off + (1 - 2 * off) * targets
