"""What goes into a run, where it stands, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..data import Augmentation, EvalTransform, ImageSource, LabelStore, Mixing
from ..zoo import LoadedModel
from .driver import RunJob
from .objective import Objective
from .settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .teachers import TeacherEnsemble


@dataclass(frozen=True, kw_only=True)
class TrainJob(RunJob):
    """Everything a student's run needs beside what every run has.

    Attributes:
        student: What is trained, with the preprocessing that it is trained and evaluated with.
        objective: What it is trained for.
        teachers: Frozen, or None.
        train_source: Training images.
        val_source: Held-out images.
        augmentation: How training views are drawn.
        mixing: MixUp and CutMix.
        eval_transform: How held-out images become inputs.
        training: Length, size, numerics.
        optimizer: The optimiser of phases that bring none.
        schedule: The schedule of phases that bring none.
        provenance: What the model's own config and card say of its origin.
        unlabeled_share: Share of each batch that is drawn from the unlabeled images; None to shuffle all together.
        labels: What the teachers answered to this run's images, stored beforehand; then there are no ``teachers``.
    """

    student: LoadedModel
    objective: Objective
    teachers: TeacherEnsemble | None
    train_source: ImageSource
    val_source: ImageSource
    augmentation: Augmentation
    mixing: Mixing
    eval_transform: EvalTransform
    training: TrainingSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    provenance: Mapping[str, Any] = field(default_factory=dict)
    unlabeled_share: float | None = None
    labels: LabelStore | None = None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished run gave; ``result.json`` in the run folder.

    Attributes:
        run: The run folder.
        model: The exported student, timm's own layout.
        top1: Percent, of the exported weights, on all held-out images; NaN of a gaze.
        top5: Percent; NaN of a gaze.
        loss: Cross-entropy in nats; of a gaze, mean squared error in radians².
        num_images: Held-out images.
        epochs: Finished.
        steps: Finished.
        images_per_s: Training throughput of the last process that worked on the run, all ranks together.
        seconds: That this process trained.
        best_top1: Highest top-1 of any evaluation; NaN of a gaze.
        unreadable: Training images that could not be decoded and were replaced.
        angular_error: Of a gaze: mean angle to the true one, degrees; None of classes.
        best_angular_error: Of a gaze: the smallest of any evaluation.
    """

    run: str
    model: str
    top1: float = math.nan
    top5: float = math.nan
    loss: float
    num_images: int
    epochs: int
    steps: int
    images_per_s: float
    seconds: float
    best_top1: float = math.nan
    unreadable: int
    angular_error: float | None = None
    best_angular_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object: what was measured."""
        of_gaze, of_classes = ("angular_error", "best_angular_error"), ("top1", "top5", "best_top1")
        apart = of_gaze if self.angular_error is None else of_classes
        return {name: value for name, value in asdict(self).items() if name not in apart}
