"""ExRep's critic: tells the teacher's pooled features from the student's.

Jeon, Han, Lee, Woo, "ExRep", ACCV 2020, §3.4. The paper's Algorithm 1 prints a saturating generator term; the
notebooks that trained the published models minimise −log D(student) instead. Both are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Critic(nn.Module):
    """A multi-layer perceptron with one logit: positive for the teacher's features.

    The authors' critic was never published. This one has no batch normalisation and no dropout, so that its training
    and evaluation modes agree (theirs did not: with the critic in evaluation mode for the generator's step, both
    sides' losses went to zero in their log).

    Args:
        feature_dim: Width of the pooled features, 1280 for EfficientNet-B0 and -B1.
        hidden: Widths of the hidden layers.
        negative_slope: Of the leaky ReLU after each hidden layer.
    """

    def __init__(
        self, feature_dim: int = 1280, hidden: Sequence[int] = (512, 256), negative_slope: float = 0.2
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = feature_dim
        for next_width in hidden:
            layers += [nn.Linear(width, next_width), nn.LeakyReLU(negative_slope)]
            width = next_width
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, feature_dim) to (B,) logits."""
        return self.layers(features).squeeze(-1)


def _bce(logits: Tensor, label: float) -> Tensor:
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def critic_terms(
    teacher_logits: Tensor,
    student_logits: Tensor,
    weight: float = 1.0,
    *,
    weighted: Literal["real", "both"] = "real",
) -> dict[str, Tensor]:
    """What the critic minimises: BCE(D(teacher), 1) and BCE(D(student), 0), each averaged over the batch.

    Args:
        teacher_logits: (B,) of the teacher's features ("real").
        student_logits: (B,) of the student's features, which the caller detaches ("fake").
        weight: λ_critic.
        weighted: Which halves it multiplies. The published code scales only the real half in the backward pass
            (and both in the log); the paper's Eq. 11 scales both.

    Returns:
        ``critic_real`` and ``critic_fake``.
    """
    fake_weight = weight if weighted == "both" else 1.0
    return {"critic_real": weight * _bce(teacher_logits, 1.0), "critic_fake": fake_weight * _bce(student_logits, 0.0)}


def generator_term(student_logits: Tensor, weight: float = 1.0, *, saturating: bool = False) -> Tensor:
    """What the student's side minimises to look like the teacher: λ_g · BCE(D(student), 1).

    Args:
        student_logits: (B,), of features that carry a gradient.
        weight: λ_g.
        saturating: Minimise log(1 − D(student)) instead, as Algorithm 1 prints.
    """
    return weight * (-_bce(student_logits, 0.0) if saturating else _bce(student_logits, 1.0))
