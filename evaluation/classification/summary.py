"""From the answers to every image to a result that can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ...data import ImageSource
from ...data.several_labels import accepted_labels
from ...engine.class_match import ClassMatch
from ...engine.metrics.accuracy import class_accuracies, mean_class_accuracy, share_within
from ...engine.metrics.calibration import expected_calibration_error, reliability_bins
from ..results import MeasuredModel, PerClass, Predictions, Result
from .one_pass import Contender
from .protocol import describe_protocol
from .published import PublishedNumber

Arrays = Mapping[str, np.ndarray]


def metrics_of(arrays: Arrays, accepted: np.ndarray, num_classes: int, *, subset: bool = False) -> dict[str, float]:
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


def summarise(
    contender: Contender,
    source: ImageSource,
    match: ClassMatch,
    arrays: Arrays,
    *,
    model: MeasuredModel,
    fingerprint: str,
    published: PublishedNumber | str | None,
    throughput: Mapping[str, Any],
    teacher: tuple[MeasuredModel, Arrays] | None,
) -> tuple[Result, Predictions]:
    """The document and the predictions of one model on one data set.

    Args:
        arrays: The model's answers.
        fingerprint: Of the data.
        published: As `find_published` gives it.
        throughput: Measured in this run.
        teacher: Whom it is compared with, and that model's answers; None without.
    """
    accepted = accepted_labels(source)
    counted: np.ndarray = np.any(accepted >= 0, axis=1)
    correct = (arrays["ahead"] == 0) & counted
    protocol, settings = describe_protocol(contender, source, match)
    metrics = metrics_of(arrays, accepted, len(source.class_names), subset=match.kind == "subset")
    per_class, counts = class_accuracies(correct[counted], accepted[counted], len(source.class_names))
    details: dict[str, Any] = {
        "reliability": [asdict(one) for one in reliability_bins(arrays["confidence"][counted], correct[counted])],
        "throughput": dict(throughput),
    }
    if match.note:
        details["classes"] = match.note
    if teacher is not None:
        same = arrays["top5"][:, 0] == teacher[1]["top5"][:, 0]
        metrics["agreement"] = 100.0 * float(same[counted].mean())
        metrics["kl_to_teacher"] = float(arrays["divergence"][counted].mean())
        details["teacher"] = {"reference": teacher[0].reference, "weights_sha256": teacher[0].weights_sha256}
    numbers: dict[str, float] = {}
    if isinstance(published, PublishedNumber):
        numbers = published.metrics
        details["published"] = {"source": published.source, "note": published.note}
    elif published is not None:
        details["published"] = {"source": None, "note": published}
    result = Result(
        task="classification",
        dataset=source.name,
        split=source.split,
        num_images=int(counted.sum()),
        model=model,
        protocol=protocol,
        metrics=metrics,
        settings=settings,
        data_fingerprint=fingerprint,
        published=numbers,
        per_class=(
            PerClass(
                metric="top1",
                names=source.class_names,
                values=tuple(None if np.isnan(value) else float(value) for value in per_class),
                counts=tuple(map(int, counts)),
            ),
        ),
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
