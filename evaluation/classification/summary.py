"""From the answers to every image to a result that can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ...data import ImageSource
from ...data.several_labels import accepted_labels, shown_classes
from ...engine.class_match import ClassMatch
from ...engine.metrics.accuracy import class_accuracies, mean_class_accuracy, share_within
from ...engine.metrics.calibration import expected_calibration_error, reliability_bins
from ...engine.multilabel import precisions, sigmoid_cross_entropy
from ..results import MeasuredModel, PerClass, Predictions, Result
from .protocol import EvaluatedModel, describe_protocol
from .published import PublishedNumber, find_published

Arrays = Mapping[str, np.ndarray]


def classification_metrics(
    arrays: Arrays, accepted: np.ndarray, num_classes: int, *, subset: bool = False
) -> dict[str, float]:
    """Every number of one model but those that need a teacher.

    Args:
        arrays: Its answers by name, see `Answers`.
        accepted: The right answers, (N, A), filled up with -1; images without any do not count.
        num_classes: Of the data.
        subset: Whether the model has further classes.

    Returns:
        ``top1``, ``top5``, ``mean_per_class`` and ``ece`` in percent, ``loss`` in nats; for a subset also
        ``top1_all_classes``, where answers outside the data's classes are wrong.
    """
    counted = (accepted >= 0).any(axis=1)
    ahead, correct = arrays["ahead"][counted], arrays["ahead"][counted] == 0
    per_class, _ = class_accuracies(correct, accepted[counted], num_classes)
    metrics = {
        "top1": share_within(ahead, 1),
        "top5": share_within(ahead, 5),
        "loss": float(arrays["loss"][counted].mean()),
        "mean_per_class": mean_class_accuracy(per_class),
        "ece": expected_calibration_error(reliability_bins(arrays["confidence"][counted], correct)),
    }
    if subset:
        metrics["top1_all_classes"] = share_within(arrays["ahead_of_all"][counted], 1)
    return metrics


@dataclass(frozen=True)
class ModelAnswers:
    """One model's answers to all images of a data set.

    Attributes:
        model: The model.
        described: As results name it.
        match: Which of its outputs stand for the data's classes.
        arrays: Its answers by name, see `Answers`.
    """

    model: EvaluatedModel
    described: MeasuredModel
    match: ClassMatch
    arrays: Arrays


def summarise(
    one: ModelAnswers,
    source: ImageSource,
    *,
    fingerprint: str,
    throughput: Mapping[str, Any],
    teacher: ModelAnswers | None,
) -> tuple[Result, Predictions]:
    """The document and the predictions of one model on one data set.

    Args:
        one: The model and its answers.
        source: The data.
        fingerprint: Of the data.
        throughput: Measured in this run.
        teacher: Whom it is compared with; None without.
    """
    match, arrays, published = one.match, one.arrays, find_published(one.model, source)
    accepted = accepted_labels(source)
    counted: np.ndarray = np.any(accepted >= 0, axis=1)
    correct = (arrays["ahead"] == 0) & counted
    protocol, settings = describe_protocol(one.model, source, match)
    details: dict[str, Any] = {"throughput": dict(throughput)}
    if source.is_multilabel:
        metrics, per_class = _of_several(arrays, source)
    else:
        metrics = classification_metrics(arrays, accepted, len(source.class_names), subset=match.kind == "subset")
        per_class = _per_class(
            "top1", source, *class_accuracies(correct[counted], accepted[counted], len(source.class_names))
        )
        bins = reliability_bins(arrays["confidence"][counted], correct[counted])
        details = {"reliability": [asdict(one) for one in bins], **details}
    if match.note:
        details["classes"] = match.note
    if teacher is not None:
        same = arrays["top5"][:, 0] == teacher.arrays["top5"][:, 0]
        metrics["agreement"] = 100.0 * float(same[counted].mean())
        metrics["kl_to_teacher"] = float(arrays["divergence"][counted].mean())
        details["teacher"] = {name: getattr(teacher.described, name) for name in ("reference", "weights_sha256")}
    numbers: dict[str, float] = {}
    if isinstance(published, PublishedNumber):
        numbers = published.metrics
        details["published"] = {"source": published.source, "note": published.note}
    elif published is not None:
        details["published"] = {"source": None, "note": published}
    result = Result(
        task=source.task,
        dataset=source.name,
        split=source.split,
        num_images=len(source) if source.is_multilabel else int(counted.sum()),
        model=one.described,
        protocol=protocol,
        metrics=metrics,
        settings=settings,
        data_fingerprint=fingerprint,
        published=numbers,
        per_class=(per_class,),
        details=details,
    )
    predictions = Predictions(
        labels=source.labels,
        top5=arrays["top5"],
        confidence=arrays["confidence"],
        correct=correct,
        counted=counted,
    )
    return result, predictions


def _of_several(arrays: Arrays, source: ImageSource) -> tuple[dict[str, float], PerClass]:
    """``mAP``, percent, and ``loss``, nats, of images that may show several classes; and each class's precision."""
    targets = shown_classes(source)
    values = precisions(arrays["scores"], targets, source.name)
    losses = sigmoid_cross_entropy(torch.from_numpy(arrays["scores"]).double(), torch.tensor(targets))
    metrics = {"mAP": float(np.nanmean(values)), "loss": float(losses.mean())}
    return metrics, _per_class("AP", source, values, (targets == 1).sum(axis=0))


def _per_class(metric: str, source: ImageSource, values: np.ndarray, counts: np.ndarray) -> PerClass:
    found = tuple(None if np.isnan(value) else float(value) for value in values)
    return PerClass(metric=metric, names=source.class_names, values=found, counts=tuple(map(int, counts)))
