"""Runs that compare features: what an objective measures of held-out images, and whether each teacher's features differ
between images at all."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..base.errors import ModelError, TeacherError
from ..base.metrics import Metrics, PrimaryMetric
from ..data import EvalTransform, ImageSource
from ..zoo.features import Maps
from .evaluate import PassSettings, evaluate
from .objective import Objective
from .preflight import even_slice
from .scoring import Scoring
from .step import MixedBatch, Step, StepContext
from .teachers import TeacherEnsemble

SAME = 0.999
"""Features whose mean direction is as close to every image's tell no image from another."""


@dataclass(frozen=True)
class FeatureReport:
    """What preflight found of a teacher's features.

    Attributes:
        reference: The teacher.
        constant: The mean cosine that the best constant answer reaches, by the name of the metric: what a student that
            looks at no image gets.
        num_images: On how many images.
        licence: Of its weights, as their entry states it.
    """

    reference: str
    constant: dict[str, float]
    num_images: int
    licence: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        found = {"constant_cosine": self.constant, "num_images": self.num_images, "licence": self.licence}
        return {"reference": self.reference, **found}

    def summary(self) -> str:
        """Short text for a log line."""
        parts = [f"{name.removesuffix('_cosine')} {value:.3f}" for name, value in self.constant.items()]
        return f"cosine of a constant answer to its features: {', '.join(parts)}, on {self.num_images} images"


@torch.no_grad()
def check_features(
    teachers: TeacherEnsemble,
    source: ImageSource,
    transform: EvalTransform,
    how: PassSettings,
    *,
    maps: Maps,
    trust: bool,
) -> tuple[list[FeatureReport], list[str]]:
    """Look at every teacher's features before a run.

    Args:
        teachers: The frozen teachers.
        source: Held-out images; an even slice of them is looked at.
        transform: The run's own evaluation transform.
        how: Batches and processes, and the sizes at which the run shows images to its teachers.
        maps: ``dense`` where the dense features are compared too.
        trust: Go on with features that hardly differ between images.

    Returns:
        A report a teacher, and the warnings to show.

    Raises:
        TeacherError: A teacher has no dense features, gives what is no number, or nearly the same for every image.
    """
    how = replace(how, limit=even_slice(len(source)), title="checking teachers")
    names = ("pooled_cosine", "dense_cosine") if maps else ("pooled_cosine",)
    sums: list[list[Tensor]] = [[] for _ in range(len(teachers))]
    count = 0
    with contextlib.closing(how.batches(source, transform)) as batches:
        for _, images, further in batches:
            count += len(images)
            for index, member in enumerate(teachers.members):
                try:
                    _, pooled, dense = teachers.one(index, images, maps=maps, renderings=further)
                except ModelError as error:
                    raise TeacherError(f"teacher {member.reference}: {error.message}", hint=error.hint) from None
                means = [directions(pooled), *(directions(one.movedim(1, -1)).mean(dim=(1, 2)) for one in dense)]
                found = [one.double().sum(dim=0).cpu() for one in means]
                before = sums[index] or [torch.zeros_like(one) for one in found]
                sums[index] = [one + more for one, more in zip(before, found, strict=True)]
    parts = how.processes.gather_objects((count, [[one.tolist() for one in pair] for pair in sums]))
    num_images = sum(part[0] for part in parts)
    reports, warnings = [], []
    for index, member in enumerate(teachers.members):
        total = [
            torch.tensor([part[1][index][k] for part in parts if part[0]], dtype=torch.float64).sum(dim=0)
            for k in range(len(names))
        ]
        constant = [float(torch.linalg.vector_norm(one)) / num_images for one in total]
        if not math.isfinite(sum(constant)):
            hint = "use --precision fp32, or another teacher"
            raise TeacherError(f"teacher {member.reference} gives features that are no numbers", hint=hint)
        named = dict(zip(names, constant, strict=True))
        reports.append(FeatureReport(member.reference, named, num_images, member.licence))
        if constant[0] > SAME:
            fault = f"gives nearly the same features for each of {num_images} images (mean cosine {constant[0]:.4f})"
            if not trust:
                hint = "check its weights and preprocessing, or go on with --trust-teacher"
                raise TeacherError(f"teacher {member.reference} {fault}", hint=hint)
            warnings.append(f"teacher {member.reference} {fault}; going on because it is trusted")
    return reports, warnings


def directions(features: Tensor) -> Tensor:
    """Features of mean 0 over their channels (the last axis) and length 1: what two of them are compared by."""
    return functional.normalize(features - features.mean(dim=-1, keepdim=True), dim=-1)


def evaluate_objective(
    objective: Objective, context: StepContext, source: ImageSource, transform: EvalTransform, how: PassSettings
) -> Metrics:
    """An objective's own measure of held-out images, each counted once.

    Args:
        objective: One with a ``primary`` metric.
        context: Of the run, with the student that is evaluated.
        source: The images; no label is read.
        transform: How an image becomes an input.
        how: Batches and processes, and the sizes at which the run shows images to its teachers.

    Raises:
        DataError: There is no image, or one cannot be read.
        Interrupted: A signal came.
    """
    primary = objective.primary
    assert primary is not None

    def measure(images: Tensor, *, renderings: Sequence[Tensor] = ()) -> list[Tensor]:
        blank = torch.full((len(images),), -1, device=images.device)
        batch = MixedBatch(images=images, labels=blank, sample_ids=blank, teacher_images=tuple(renderings))
        return [objective.measure(Step(batch, context, epoch=0, step=0))]

    return evaluate(measure, source, transform, how, scoring=_own_scoring(primary))[0]


def _own_scoring(primary: PrimaryMetric) -> Scoring:
    """What an objective gives of each image, averaged over all of them."""

    def count(values: Tensor, truth: Tensor) -> Tensor:
        return torch.cat([values.double().sum(dim=0), values.new_tensor([len(values)], dtype=torch.float64)])

    def metrics(sums: Tensor) -> Metrics:
        *totals, count = sums.tolist()
        means = {name: total / count for name, total in zip(primary.names, totals, strict=True)}
        always = (primary.name, "loss")
        values = {name: mean for name, mean in means.items() if name in always or not math.isnan(mean)}
        return Metrics(primary, values, int(count))

    return Scoring(truth=lambda batch, source, answers: batch.labels, count=count, metrics=metrics, label=primary.name)
