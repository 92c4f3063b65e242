"""From scores to numbers: the metrics of a task, its classes, and the answers image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ...engine.metrics.accuracy import class_accuracies, mean_class_accuracy, share_within
from ...engine.metrics.precision import multilabel_precisions
from ...engine.metrics.ranking import first_classes, rank_classes, rank_of_label
from ...evaluation.results import Predictions
from .linear import Labels

WORDS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "mean_per_class": "accuracy averaged over classes",
    "mAP11": "11-point mAP",
    "mAP": "mAP over the whole curve",
}
"""What a reader calls each metric."""

SHOWN = {"voc2007": ("mAP11", "mAP"), "aircraft": ("top1", "mean_per_class")}
"""The metrics of each data set, the first one decides; top-1 for all others."""

_TOP5_CLASSES = 6


def shown_metrics(name: str, known: Labels) -> tuple[str, ...]:
    """The metrics that are shown for a data set, the one that decides first."""
    return SHOWN.get(name, ("top1",) if known.targets is None else ("mAP11", "mAP"))


@dataclass(frozen=True)
class Measured:
    """What one set of scores gave.

    Attributes:
        metrics: By name, percent.
        class_metric: The metric of ``class_values``: ``top1`` or ``AP11``.
        class_values: (C,), percent; NaN for a class that no counted image shows.
        class_counts: Images that show each class, (C,).
        right: Whether the first answer is right, bool (N,).
        predictions: Image by image.
    """

    metrics: Mapping[str, float]
    class_metric: str
    class_values: np.ndarray
    class_counts: np.ndarray
    right: np.ndarray
    predictions: Predictions


def measure_scores(scores: np.ndarray, known: Labels, *, probabilities: bool = False) -> Measured:
    """Every metric of a test set.

    Args:
        scores: (N, C), higher is likelier.
        known: What the images show.
        probabilities: Whether the scores are probabilities rather than logits.
    """
    order = rank_classes(torch.tensor(scores))
    first = first_classes(order).numpy()
    if known.targets is None:
        ahead = rank_of_label(order, torch.tensor(known.labels, dtype=torch.int64)).numpy()
        right, counted = ahead == 0, np.ones(len(scores), dtype=np.bool_)
        values, counts = class_accuracies(right, known.labels[:, None], known.num_classes)
        metrics = {"top1": share_within(ahead, 1)}
        if known.num_classes >= _TOP5_CLASSES:
            metrics["top5"] = share_within(ahead, 5)
        metrics["mean_per_class"] = mean_class_accuracy(values)
        kind = "top1"
    else:
        values = multilabel_precisions(scores, known.targets, eleven_points=True)
        whole = multilabel_precisions(scores, known.targets, eleven_points=False)
        metrics = {"mAP11": float(np.nanmean(values)), "mAP": float(np.nanmean(whole))}
        counts = (known.targets == 1).sum(axis=0)
        answered = known.targets[np.arange(len(scores)), first[:, 0]]
        right, counted = answered == 1, ~np.isnan(answered)
        kind = "AP11"
    predictions = Predictions(
        labels=known.labels,
        top5=first,
        confidence=_confidence(scores, first[:, 0], probabilities, multilabel=known.targets is not None),
        correct=right,
        counted=counted,
    )
    return Measured(metrics, kind, values, counts, right, predictions)


def _confidence(scores: np.ndarray, first: np.ndarray, probabilities: bool, *, multilabel: bool) -> np.ndarray:
    chosen = scores[np.arange(len(scores)), first].astype(np.float64)
    if probabilities:
        return chosen
    if multilabel:
        return 1 / (1 + np.exp(-np.clip(chosen, -700, 700)))
    return 1 / np.exp(scores.astype(np.float64) - chosen[:, None]).sum(axis=1)
