"""A measurement's numbers as one named set, with the one that decides which of two models is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .json_document import as_count, as_number


@dataclass(frozen=True, kw_only=True)
class PrimaryMetric:
    """The number by which a task's models are compared, and what stands beside it.

    Attributes:
        name: In files, such as ``top1``.
        title: For a reader, such as ``top-1``.
        unit: Behind its value.
        higher_is_better: Whether the larger of two values is the better one.
        names: All of the task's numbers, in reading order.
        promise: The name under which a promised value of it is kept.
        line: The numbers as a part of a log line, by ``str.format``.
        loss: What the task's loss on held-out images is called.
        loss_unit: Of that loss.
        digits: Behind the point of its value.
        task: What is learnt, as results call it.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    names: tuple[str, ...]
    promise: str
    line: str
    loss: str
    loss_unit: str
    digits: int = 2
    task: str = "classification"

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.{self.digits}f}{' ' if self.unit not in ('', '°') else ''}{self.unit}"

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a value beats the best one so far; the first one does, and any beats one that is no number."""
        if than is None or math.isnan(than):
            return True
        return value > than if self.higher_is_better else value < than


TOP1 = PrimaryMetric(
    name="top1",
    title="top-1",
    unit="%",
    higher_is_better=True,
    names=("top1", "top5", "loss"),
    promise="promised_top1",
    line="top-1 {top1:.2f} top-5 {top5:.2f} loss {loss:.4f}",
    loss="cross-entropy",
    loss_unit="nats",
)
ANGULAR_ERROR = PrimaryMetric(
    name="angular_error",
    title="angular error",
    unit="°",
    higher_is_better=False,
    names=("angular_error", "angular_spread", "loss"),
    promise="promised_error",
    line="angular error {angular_error:.2f}° (squared error {loss:.5f} rad²)",
    loss="squared error",
    loss_unit="rad²",
    task="regression",
)
MEAN_AP = PrimaryMetric(
    name="mAP",
    title="mAP",
    unit="%",
    higher_is_better=True,
    names=("mAP", "loss"),
    promise="promised_mAP",
    line="mAP {mAP:.2f} loss {loss:.4f}",
    loss="sigmoid cross-entropy",
    loss_unit="nats",
    task="multilabel",
)
FEATURE_COSINE = PrimaryMetric(
    name="feature_cosine",
    title="feature cosine",
    unit="",
    higher_is_better=True,
    names=("feature_cosine", "pooled_cosine", "dense_cosine", "loss"),
    promise="promised_cosine",
    line="feature cosine {feature_cosine:.4f} loss {loss:.4f}",
    loss="feature loss",
    loss_unit="",
    digits=4,
    task="features",
)
PRIMARY_METRICS = (TOP1, ANGULAR_ERROR, FEATURE_COSINE, MEAN_AP)


def find_primary(names: Iterable[str]) -> PrimaryMetric | None:
    """The primary metric among some names, or None."""
    known = set(names)
    return next((one for one in PRIMARY_METRICS if one.name in known), None)


@dataclass(frozen=True)
class Metrics:
    """What a pass over held-out images gave.

    Attributes:
        primary: Which number decides.
        values: By name. Of classes: ``top1`` and ``top5``, percent of the images whose right class is the first answer
            or among the first five, and ``loss``, the mean cross-entropy in nats. Of a gaze: ``angular_error`` and
            ``angular_spread``, mean and standard deviation of the angle between predicted and true gaze in degrees, and
            ``loss``, the mean squared error of pitch and yaw in radians². Of features: ``pooled_cosine`` and
            ``dense_cosine``, the mean cosine between what the student gives for its teachers' features and these, as
            far as each is compared; ``feature_cosine``, the mean of both; ``loss``, as it is trained for.
            Of several classes an image: ``mAP``, the mean over the classes that any image shows of their average
            precision, percent, and ``loss``, the mean over the images of the classes' summed binary cross-entropy.
        num_images: Images counted.
    """

    primary: PrimaryMetric
    values: Mapping[str, float]
    num_images: int

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def value(self) -> float:
        """The number that decides."""
        return self.values[self.primary.name]

    @property
    def is_measured(self) -> bool:
        """Whether the number that decides is there."""
        return self.primary.name in self.values

    def is_better(self, than: float | None) -> bool:
        """Whether the number that decides beats the best one so far; None where this is the first."""
        return self.primary.is_better(self.value, than)

    def to_dict(self) -> dict[str, float | int]:
        """As a JSON object; `from_json` reads it."""
        return {**self.values, "num_images": self.num_images}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Metrics:
        """The set among the entries of a JSON object: those that are numbers."""
        primary = find_primary(document) or TOP1
        values = {name: number for name in primary.names if math.isfinite(number := as_number(document.get(name)))}
        return cls(primary, values, as_count(document.get("num_images")))

    def summary(self) -> str:
        """Short text for a log line."""
        return self.primary.line.format(**self.values)
