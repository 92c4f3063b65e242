"""How close one model's answers are to another's (S. Stanton et al., "Does Knowledge Distillation Really Work?",
NeurIPS 2021, Eq. 7 and 8)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid


def kl_divergence(student_log_p: Tensor, teacher_log_p: Tensor) -> Tensor:
    """KL(teacher || student) at temperature 1, in nats, (B,); 0 where they agree.

    Args:
        student_log_p: (B, C).
        teacher_log_p: (B, C), of the same classes.
    """
    return (teacher_log_p.exp() * (teacher_log_p - student_log_p)).sum(dim=1).clamp_min(0)


def sigmoid_divergence(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """As `kl_divergence`, of classes that do not exclude each other: the sum of each one's own, (B,)."""
    yes = teacher_logits.sigmoid() * (logsigmoid(teacher_logits) - logsigmoid(student_logits))
    no = (-teacher_logits).sigmoid() * (logsigmoid(-teacher_logits) - logsigmoid(-student_logits))
    return (yes + no).sum(dim=1).clamp_min(0)
