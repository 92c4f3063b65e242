"""What is kept of a model's answer to each image; every number of a result is made from these."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ...engine.class_match import ClassMatch
from ...engine.metrics.agreement import kl_divergence, sigmoid_divergence
from ...engine.metrics.ranking import (
    first_classes,
    log_probabilities,
    negative_log_likelihood,
    rank_classes,
    rank_of_label,
)


@dataclass(frozen=True)
class Answers:
    """A model's answers to some images, one entry an image.

    Attributes:
        ahead: int32; classes before the first right one, C where none is right.
        ahead_of_all: int32; the same among all the model's classes, where the data has only some of them.
        top5: int32, (N, 5); the classes in falling order, -1 where there are fewer.
        confidence: float32; the first answer's probability.
        loss: float64; -log p of the right answers together, nats.
        divergence: float64; KL(teacher || model) in nats, 0 without a teacher.
        finite: bool; whether all logits are numbers.
        scores: float32, (N, C); the logits of the data's classes, where an image may show several; else None.
    """

    ahead: Tensor
    ahead_of_all: Tensor
    top5: Tensor
    confidence: Tensor
    loss: Tensor
    divergence: Tensor
    finite: Tensor
    scores: Tensor | None = None

    def numpy(self) -> dict[str, np.ndarray]:
        """By name, on the host."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: tensor.cpu().numpy() for name, tensor in found.items() if tensor is not None}


def names_of(*, several: bool) -> tuple[str, ...]:
    """The arrays of `Answers` to images that show one class each, or ``several``."""
    return tuple(item.name for item in fields(Answers) if several or item.name != "scores")


def judge(
    logits: Tensor, accepted: Tensor, match: ClassMatch, *, crops: int, teacher_log_p: Tensor | None = None
) -> tuple[Answers, Tensor]:
    """Compare a model's answers with the right ones.

    Args:
        logits: All the model's outputs, (B · crops, classes of the model), the crops of an image together.
        accepted: The right answers among the data's classes, int64, (B, A), filled up with -1.
        match: Which outputs stand for the data's classes.
        crops: Of an image.
        teacher_log_p: The teacher's answers, float64, (B, C).

    Returns:
        The answers, and log p of the data's classes, float64, (B, C).
    """
    finite = torch.isfinite(logits).all(dim=1).unflatten(0, (-1, crops)).all(dim=1)
    chosen = match.apply(logits)
    log_p = log_probabilities(chosen, crops)
    scores = chosen if crops == 1 else log_p
    order = rank_classes(scores)
    ahead = ahead_of_all = rank_of_label(order, accepted)
    if match.kind == "subset":
        columns = torch.tensor(match.columns, device=logits.device)
        among_all = torch.where(accepted >= 0, columns[accepted.clamp_min(0)], -1)
        whole = logits if crops == 1 else log_probabilities(logits, crops)
        ahead_of_all = rank_of_label(rank_classes(whole), among_all)
    divergence = torch.zeros_like(log_p[:, 0]) if teacher_log_p is None else kl_divergence(log_p, teacher_log_p)
    answers = Answers(
        ahead=ahead.int(),
        ahead_of_all=ahead_of_all.int(),
        top5=first_classes(order),
        confidence=log_p.gather(1, order[:, :1])[:, 0].exp().float(),
        loss=negative_log_likelihood(log_p, accepted),
        divergence=divergence,
        finite=finite,
    )
    return answers, log_p


def judge_several(
    logits: Tensor, accepted: Tensor, match: ClassMatch, *, crops: int, teacher_scores: Tensor | None = None
) -> tuple[Answers, Tensor]:
    """As `judge`, of images that may show several classes: each by itself, and the first answer beside those shown.

    The loss is left at 0: it needs what is not shown too, which `scores` keep.

    Returns:
        The answers, and the logits of the data's classes, float64, (B, C).
    """
    finite = torch.isfinite(logits).all(dim=1).unflatten(0, (-1, crops)).all(dim=1)
    scores = match.apply(logits).double()
    if crops > 1:
        scores = scores.sigmoid().unflatten(0, (-1, crops)).mean(dim=1).logit(eps=1e-15)
    order = rank_classes(scores)
    ahead = rank_of_label(order, accepted).int()
    blank = torch.zeros_like(scores[:, 0])
    answers = Answers(
        ahead=ahead,
        ahead_of_all=ahead,
        top5=first_classes(order),
        confidence=scores.gather(1, order[:, :1])[:, 0].sigmoid().float(),
        loss=blank,
        divergence=blank if teacher_scores is None else sigmoid_divergence(scores, teacher_scores),
        finite=finite,
        scores=scores.float(),
    )
    return answers, scores
