"""From logits to what is counted: the order of the classes, where the right ones stand, their probability."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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


def num_ahead(order: Tensor, accepted: Tensor) -> Tensor:
    """How many classes stand before the first right one, int64, (B,); C where no answer is right.

    Args:
        order: As `rank_classes` gives it, (B, C).
        accepted: The right answers, int64, (B, A), each in [0, C), filled up with -1.
    """
    classes = order.shape[1]
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
