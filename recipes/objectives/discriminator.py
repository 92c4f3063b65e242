"""MEAL V2's discriminator: is this row of logits the student's or the teachers'? (arXiv 2009.08453, §5, Eq. 4-5.)

As released, it is a three-layer network on the logits whose **last** layer ends in a ReLU too. Both outputs are then at
least 0, their sigmoids at least 0.5, and the loss cannot fall below ½ ln 2 (0.3466): one column of a row can reach 0,
the other not less than ln 2. A network whose outputs are all 0 gives exactly ln 2 and no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STUDENT, TEACHER = 0, 1
"""Column that is 1 in the label of a student's and of a teacher's row."""


def published_widths(num_classes: int) -> tuple[int, int]:
    """Hidden widths as released: C//8 and (C//8)//8; 125 and 15 for ImageNet, (1, 0) for ten classes."""
    return num_classes // 8, num_classes // 8 // 8


def few_class_widths(num_classes: int, min_width: int) -> tuple[int, int]:
    """The released widths, but neither below ``min_width``."""
    first, second = published_widths(num_classes)
    return max(first, min_width), max(second, min_width)


class Discriminator(nn.Module):
    """C → h1 → h2 → 2, linear layers with bias (the released 1×1 convolutions on N×C×1×1 are the same).

    Args:
        num_classes: C.
        widths: h1 and h2.
        last_relu: Whether a ReLU follows the last layer as well, as released.
    """

    def __init__(self, num_classes: int, widths: tuple[int, int], *, last_relu: bool = True) -> None:
        super().__init__()
        if min(widths) < 1:
            raise ValueError(f"a discriminator layer would have no unit: widths {widths} for {num_classes} classes")
        self.layers = nn.ModuleList(
            [nn.Linear(num_classes, widths[0]), nn.Linear(widths[0], widths[1]), nn.Linear(widths[1], 2)]
        )
        self.last_relu = last_relu

    def forward(self, logits: Tensor) -> Tensor:
        """(N, C) logits to (N, 2) scores."""
        hidden = logits
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu()
        scores: Tensor = self.layers[-1](hidden)
        return scores.relu() if self.last_relu else scores


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        return inputs.view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(inputs: Tensor) -> Tensor:
    """The same values; the gradient that comes back is negated (Y. Ganin & V. Lempitsky, arXiv 1409.7495, §3)."""
    result: Tensor = _ReverseGradient.apply(inputs)
    return result


def _one_hot_bce(scores: Tensor, column: int) -> Tensor:
    target = torch.zeros_like(scores)
    target[:, column] = 1
    return functional.binary_cross_entropy_with_logits(scores, target, reduction="sum")


def discrimination_loss(discriminator: nn.Module, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Binary cross-entropy of telling students' rows [1, 0] from teachers' rows [0, 1]: mean over the 2B rows and both
    columns.

    Args:
        discriminator: (N, C) to (N, 2) scores.
        student_logits: (B, C).
        teacher_logits: (B, C); the mean of the teachers' raw logits.
    """
    size = len(student_logits)
    scores = discriminator(torch.cat([student_logits, teacher_logits]))
    return (_one_hot_bce(scores[:size], STUDENT) + _one_hot_bce(scores[size:], TEACHER)) / scores.numel()


def deception_loss(discriminator: nn.Module, student_logits: Tensor) -> Tensor:
    """The student's side of an alternating game: the same cross-entropy with its rows labelled as teachers'."""
    scores = discriminator(student_logits)
    return _one_hot_bce(scores, TEACHER) / scores.numel()
