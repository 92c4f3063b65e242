"""What goes into a run, where it stands, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.metrics import Metrics
from ..data import Augmentation, EvalTransform, ImageSource, LabelStore, Mixing
from ..zoo import LoadedModel
from .objective import Objective
from .settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .teachers import TeacherEnsemble


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """Everything a run needs, already built and checked.

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
        seed: Of every random choice.
        workers: Loader processes.
        out: The run folder.
        resume: Whether a run in ``out`` goes on.
        config: Resolved settings with their sources, for config.json.
        fixed: What a resumed run must share with its beginning, flat.
        provenance: What the model's own config and card say of its origin.
        trackers: Names of extra trackers.
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
    seed: int
    workers: int
    out: Path
    resume: bool
    config: Mapping[str, Any]
    fixed: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    trackers: Sequence[str] = ()
    unlabeled_share: float | None = None
    labels: LabelStore | None = None


@dataclass
class Position:
    """Where a run stands, and what it has counted since its last line of metrics.

    Attributes:
        step: Finished steps.
        evaluated: Finished steps at the last evaluation, or -1.
        best: Best value so far of the metric that decides, or None.
        best_step: Where that was.
        last: The newest evaluation of the student, as a dict.
        sums: Sum of each term since the last line.
        count: Steps since the last line.
        unreadable: Position and reason of each training image that could not be decoded.
    """

    step: int = 0
    evaluated: int = -1
    best: float | None = None
    best_step: int = -1
    last: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    unreadable: dict[int, str] = field(default_factory=dict)

    def count_step(self, values: dict[str, float]) -> None:
        """One more step is finished; its terms are added to the sums."""
        self.step += 1
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take_means(self) -> dict[str, float]:
        """Each term's mean since the last call; the sums begin anew."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def count_evaluation(self, result: Metrics) -> bool:
        """The weights that are exported were evaluated here; returns whether they are the best so far."""
        is_best = result.is_better(self.best)
        if is_best:
            self.best, self.best_step = result.value, self.step
        self.last = result.to_dict()
        self.evaluated = self.step
        return is_best

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Position:
        """Read a checkpoint's position; older ones keep the best value under a name of its own, -1 for none.

        Raises:
            TypeError: It is of another form.
        """
        values = dict(document)
        known = [values.pop(name) for name in ("best_top1", "best_error") if name in values]
        return cls(**{"best": next((value for value in known if value >= 0), None), **values})
