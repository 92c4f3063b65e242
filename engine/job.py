"""What goes into a run, where it stands, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        teacher_sizes: Sides at which each view is rendered for the teachers beside the student's own, pixels.
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
    teacher_sizes: tuple[int, ...] = ()
