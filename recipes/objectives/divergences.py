"""Divergences between the student's and the teacher's class distributions.

All take logits, sum over classes and average over the batch. An averaged teacher (an ensemble's mean probabilities)
enters as the logarithm of its probabilities, for which softmax is the identity at temperature 1.

Half-precision logits are computed with in float32. Only the student's side should carry a gradient; the functions do
not detach, so that the caller sees what flows.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _log_probs(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    return F.log_softmax(logits / temperature, dim=-1)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p‖q) a row; a class of zero probability under p adds nothing."""
    terms = log_p.exp() * (log_p - log_q)
    return terms.masked_fill(log_p == -math.inf, 0.0).sum(dim=-1)


def _scale(temperature: float, scale_by_squared_temperature: bool) -> float:
    return temperature**2 if scale_by_squared_temperature else 1.0


def forward_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float = 1.0,
    *,
    scale_by_squared_temperature: bool = True,
) -> Tensor:
    """KL(teacher‖student): T² Σ_c p_t log(p_t / p_s), with p = softmax(z/T).

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C).
        temperature: T, divides both sides' logits.
        scale_by_squared_temperature: Multiply by T², which keeps the gradient's size when T changes.

    Returns:
        A scalar in nats, at least 0; 0 exactly where both distributions agree.

    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, §2.1.
    """
    log_student, log_teacher = _log_probs(student_logits, temperature), _log_probs(teacher_logits, temperature)
    return _scale(temperature, scale_by_squared_temperature) * _kl(log_teacher, log_student).mean()


def reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float = 1.0,
    *,
    scale_by_squared_temperature: bool = True,
) -> Tensor:
    """KL(student‖teacher): the other direction of ``forward_kl``, with the same arguments."""
    log_student, log_teacher = _log_probs(student_logits, temperature), _log_probs(teacher_logits, temperature)
    return _scale(temperature, scale_by_squared_temperature) * _kl(log_student, log_teacher).mean()


def half_symmetric_kl(student_logits: Tensor, teacher_logits: Tensor, *, epsilon: float = 0.0) -> Tensor:
    """Half the sum of both KL divergences (half of Jeffreys' divergence), at temperature 1.

    This is the loss of SSLD's published code, where its name says Jensen-Shannon. Unlike that one it has no upper
    bound, and it is several times larger on unlike distributions: learning rates do not carry over.

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C).
        epsilon: Added to every probability inside the logarithms: 1e-12 in today's PaddleClas, 1e-10 in its release
            2.0, 0 in the static-graph code that trained the published models. At 0 logarithms are exact.

    Returns:
        A scalar in nats, at least 0.

    Source: PaddleClas ppcls/loss/dmlloss.py (DMLLoss), ppcls/modeling/loss.py of release 2.0 (JSDivLoss).
    """
    log_student, log_teacher = _log_probs(student_logits, 1.0), _log_probs(teacher_logits, 1.0)
    if epsilon == 0.0:
        return 0.5 * (_kl(log_teacher, log_student) + _kl(log_student, log_teacher)).mean()
    student, teacher = log_student.exp(), log_teacher.exp()
    log_ratio = torch.log((teacher + epsilon) / (student + epsilon))
    return 0.5 * ((teacher - student) * log_ratio).sum(dim=-1).mean()


def jensen_shannon(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """The Jensen-Shannon divergence: ½ KL(p‖m) + ½ KL(q‖m), with m the mean of both, at temperature 1.

    What SSLD's paper names in §3.1; its code computes ``half_symmetric_kl``.

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C).

    Returns:
        A scalar in nats, between 0 and ln 2.

    Source: Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Inf. Theory 37(1), 1991, Eq. 4.1.
    """
    log_student, log_teacher = _log_probs(student_logits, 1.0), _log_probs(teacher_logits, 1.0)
    log_mean = torch.logaddexp(log_student, log_teacher) - math.log(2.0)
    return 0.5 * (_kl(log_teacher, log_mean) + _kl(log_student, log_mean)).mean()
