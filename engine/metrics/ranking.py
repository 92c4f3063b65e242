"""From logits to what is counted: the order of the classes, where the right ones stand, their probability."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def log_probabilities(logits: Tensor, crops: int = 1) -> Tensor:
    """log p of each class, float64, (B, C).

    Args:
        logits: (B · crops, C), the crops of an image together.
        crops: Their probabilities are averaged (A. Krizhevsky et al., NIPS 2012, §4.1).
    """
    log_p = torch.log_softmax(logits.double(), dim=1)
    if crops == 1:
        return log_p
    return torch.logsumexp(log_p.unflatten(0, (-1, crops)), dim=1) - math.log(crops)


def rank_classes(scores: Tensor) -> Tensor:
    """The classes in falling order of their scores, int64, (B, C); of equal ones the lower index comes first."""
    return torch.sort(scores, dim=1, descending=True, stable=True).indices


def first_classes(order: Tensor, count: int = 5) -> Tensor:
    """The first classes of a ranking, int32, (B, count); -1 where there are fewer classes.

    Args:
        order: As `rank_classes` gives it, (B, C).
        count: How many.
    """
    return functional.pad(order[:, :count], (0, max(0, count - order.shape[1])), value=-1).int()


def rank_of_label(order: Tensor, labels: Tensor) -> Tensor:
    """How many classes stand before the right one, int64, (B,); C where no answer is right.

    Args:
        order: As `rank_classes` gives it, (B, C).
        labels: The right class, int64, (B,), each in [0, C); or several right ones, (B, A), filled up with -1, of which
            the first in the order counts.
    """
    classes = order.shape[1]
    accepted = labels[:, None] if labels.ndim == 1 else labels
    places = torch.empty_like(order).scatter_(1, order, torch.arange(classes, device=order.device).expand_as(order))
    found = places.gather(1, accepted.clamp_min(0))
    return found.masked_fill(accepted < 0, classes).amin(dim=1)


def negative_log_likelihood(log_p: Tensor, accepted: Tensor) -> Tensor:
    """-log of the probability of all right answers together, in nats, (B,); with one answer the cross-entropy.

    Args:
        log_p: (B, C).
        accepted: int64, (B, A), filled up with -1; an image without any gets 0.
    """
    chosen = log_p.gather(1, accepted.clamp_min(0)).masked_fill(accepted < 0, -math.inf)
    none = (accepted < 0).all(dim=1)
    return torch.where(none, torch.zeros_like(log_p[:, 0]), -torch.logsumexp(chosen, dim=1))
