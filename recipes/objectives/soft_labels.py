"""Learning from a teacher's probabilities.

Every function takes float tensors and returns a scalar: mean over the batch, sum over the classes, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def mean_probabilities(teacher_logits: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """The ensemble's soft label: the mean of the teachers' softmax outputs.

    p_e = (1/K) Σ_t softmax(z_t / T), MEAL V2 (arXiv 2009.08453) Eq. 1 at T = 1.

    Args:
        teacher_logits: K tensors, (B, C).
        temperature: T.

    Returns:
        (B, C), rows summing to 1.
    """
    return torch.stack([(logits / temperature).softmax(dim=1) for logits in teacher_logits]).mean(dim=0)


def mean_sigmoids(teacher_logits: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """As `mean_probabilities` for classes that do not exclude each other: (1/K) Σ_t σ(z_t / T), (B, C)."""
    return torch.stack([(logits / temperature).sigmoid() for logits in teacher_logits]).mean(dim=0)


def mean_log_probabilities(teacher_logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of ``mean_probabilities`` at T = 1, (B, C), finite where a probability underflows."""
    logs = torch.stack([logits.log_softmax(dim=1) for logits in teacher_logits])
    return logs.logsumexp(dim=0) - math.log(len(logs))


def mean_logits(teacher_logits: Sequence[Tensor]) -> Tensor:
    """The mean of the teachers' raw logits, (1/K) Σ_t z_t: (B, C). Not the log of ``mean_probabilities``."""
    return torch.stack(list(teacher_logits)).mean(dim=0)


def soft_cross_entropy(student_logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with a soft label: −(1/B) Σ_i Σ_c p_ic log softmax(z_i)_c, MEAL V2 Eq. 3.

    It is KL(p‖softmax(z)) plus the target's entropy, which no gradient sees; its minimum is that entropy.

    Args:
        student_logits: (B, C).
        target: Probabilities, (B, C).
    """
    return -(target * student_logits.log_softmax(dim=1)).sum(dim=1).mean()


def tempered_kl(student_logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Hinton's distillation loss, T²·KL(p‖softmax(z_s / T)): 0 where they agree (arXiv 1503.02531, §2).

    T² keeps the gradient's scale where T changes.

    Args:
        student_logits: (B, C).
        target: Probabilities at the same temperature, (B, C).
        temperature: T.
    """
    log_student = (student_logits / temperature).log_softmax(dim=1)
    divergence = torch.xlogy(target, target) - target * log_student
    return divergence.sum(dim=1).mean() * temperature**2


def tempered_sigmoid_kl(student_logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T²·Σ_c KL(Bernoulli(p_c)‖Bernoulli(σ(z_c / T))): each class by itself; 0 where they agree.

    The one-versus-all distillation of images that show several classes (P. Yang et al., "Multi-Label Knowledge
    Distillation", arXiv 2308.06453, its logits' part), with Hinton's temperature and factor; its gradient is that of
    the sigmoid cross-entropy with p.

    Args:
        student_logits: (B, C).
        target: Probabilities at the same temperature, (B, C), each in [0, 1].
        temperature: T.
    """
    scaled = student_logits / temperature
    entropy = torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)
    divergence = entropy - target * functional.logsigmoid(scaled) - (1 - target) * functional.logsigmoid(-scaled)
    return divergence.sum(dim=1).mean() * temperature**2
