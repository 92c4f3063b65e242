"""How a task's answers are judged: a batch's truth, the sums over the images, and the metrics that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..base.errors import DataError
from ..base.metrics import TOP1, Metrics
from ..data import Batch, ImageSource
from .metrics.ranking import rank_classes, rank_of_label


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What evaluating on images of one kind of truth takes.

    Attributes:
        truth: A batch's truth, after a look at it and at the answers, one (B, C) tensor a model; raises DataError.
        count: From answers (B, C) and truth to sums over the images, float64, the number of images last.
        metrics: From the sums over all images to the metrics; with ``by_image`` from the rows of all images.
        label: Of the number that decides, beside the progress.
        by_image: Whether ``count`` gives a row an image, (B, K), in place of sums.
    """

    truth: Callable[[Batch, ImageSource, Sequence[Tensor]], Tensor]
    count: Callable[[Tensor, Tensor], Tensor]
    metrics: Callable[[Tensor], Metrics]
    label: str
    by_image: bool = False


def _labels(batch: Batch, source: ImageSource, answers: Sequence[Tensor]) -> Tensor:
    classes = min(logits.shape[1] for logits in answers)
    if int(batch.labels.min()) < 0 or int(batch.labels.max()) >= classes:
        raise DataError(
            f"{source.name} ({source.split}) has labels outside the model's {classes} classes",
            hint="evaluate on data with the model's own classes",
        )
    return batch.labels


def _count_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Right answers, right among the first five, summed loss and count; an answer that is no number is wrong."""
    ahead = rank_of_label(rank_classes(logits), labels).masked_fill(logits.isnan().any(dim=1), logits.shape[1] + 5)
    loss = functional.cross_entropy(logits, labels, reduction="none").double().sum()
    return torch.stack([(ahead < 1).sum().double(), (ahead < 5).sum().double(), loss, loss.new_full((), len(labels))])


def _accuracies(sums: Tensor) -> Metrics:
    right, among_five, loss, count = sums.tolist()
    values = {"top1": 100 * right / count, "top5": 100 * among_five / count, "loss": loss / count}
    return Metrics(TOP1, values, int(count))


CLASS_SCORING = Scoring(truth=_labels, count=_count_right, metrics=_accuracies, label="top1")
