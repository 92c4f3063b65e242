"""Where a run stands, and at which of its steps it evaluates, saves and logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """At which of its steps a run evaluates, saves and logs. Steps are counted as finished ones, from 1.

    Attributes:
        steps: Of the whole run.
        epoch: Steps of an epoch; None for a run that is counted in steps alone.
        evaluate_every: Steps between evaluations; 0 for the end only. The end is always evaluated.
        checkpoint_every: Steps between checkpoints; 0 for the ends of epochs only.
        log_every: Steps between lines of metrics; the end of an epoch, and of the run, always has one.
        patience: Evaluations on end that were not the best so far, after which the run ends early; 0: never.
        saves_before_evaluating: Whether a checkpoint precedes an evaluation too, because evaluating takes long.
    """

    steps: int
    epoch: int | None
    evaluate_every: int
    checkpoint_every: int
    log_every: int
    patience: int = 0
    saves_before_evaluating: bool = False

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch, or the run, ends after this step."""
        return step == self.steps or (self.epoch is not None and step % self.epoch == 0)

    def logs(self, step: int) -> bool:
        """Whether a line of metrics is written after this step."""
        return step % self.log_every == 0 or self.ends_epoch(step)

    def evaluates(self, step: int) -> bool:
        """Whether an evaluation follows this step."""
        every = self.evaluate_every
        return step > 0 and (step == self.steps or (every > 0 and step % every == 0))

    def saves(self, step: int) -> bool:
        """Whether a checkpoint follows this step; an evaluation is followed by one of its own."""
        if self.evaluates(step):
            return self.saves_before_evaluating
        return self.ends_epoch(step) or (self.checkpoint_every > 0 and step % self.checkpoint_every == 0)

    def is_over(self, at: Position) -> bool:
        """Whether nothing is left to do: every step is taken and evaluated, or the run has run out of patience."""
        return at.evaluated == at.step and (at.step == self.steps or 0 < self.patience <= at.stale)

    def epochs_before(self, step: int) -> dict[str, int]:
        """``{"epoch": n}``, the epochs that were finished before a step; empty where the run has none."""
        return {} if self.epoch is None else {"epoch": step // self.epoch}


class Evaluation(Protocol):
    """What evaluating one network gave."""

    @property
    def num_images(self) -> int:
        """How many images were evaluated."""

    @property
    def value(self) -> float:
        """The number by which evaluations are compared."""

    def is_better(self, than: float | None) -> bool:
        """Whether the value beats the best one so far, None where this is the first."""

    def to_dict(self) -> dict[str, Any]:
        """The metrics by name, for a line of metrics.jsonl."""

    def summary(self) -> str:
        """Short text for a log line."""


@dataclass
class Position:
    """Where a run stands, and what it has counted since its last line of metrics.

    Attributes:
        step: Finished steps.
        evaluated: Finished steps at the last evaluation, or -1.
        best: Best value so far of the number by which evaluations are compared, or None.
        best_step: Finished steps at the evaluation that gave it, or -1.
        stale: Evaluations since.
        last: The newest evaluation, as a dict.
        sums: Sum of each term since the last line.
        count: Steps since the last line.
        unreadable: Position and reason of each training image that could not be decoded.
        first_loss: Of the first step, or None before it and where nobody looks.
        high_steps: How many steps on end had a loss far above it.
    """

    step: int = 0
    evaluated: int = -1
    best: float | None = None
    best_step: int = -1
    stale: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    unreadable: dict[int, str] = field(default_factory=dict)
    first_loss: float | None = None
    high_steps: int = 0

    def count_step(self, values: Mapping[str, float]) -> None:
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

    def count_evaluation(self, result: Evaluation) -> bool:
        """The weights that are exported were evaluated here; returns whether they are the best so far."""
        is_best = result.is_better(self.best)
        if is_best:
            self.best, self.best_step = result.value, self.step
        self.stale = 0 if is_best else self.stale + 1
        self.last, self.evaluated = result.to_dict(), self.step
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
