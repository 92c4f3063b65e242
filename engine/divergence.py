"""Stopping a run whose loss explodes: when that is certain, the likely cause, and the way out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..base.errors import DivergedError
from .phases import RunningPhase
from .position import Position
from .settings import TrainingSettings

FACTOR, STEPS = 10.0, 20
"""A loss has exploded when it was above ``FACTOR`` times its beginning, and chance, for ``STEPS`` steps on end.

Cross-entropy of ten classes would stand above 23 nats for each of these steps, a thousand times surer of wrong answers
than of right ones. Spikes, which recover, last a few steps; losses that fall from a high beginning never pass it.
"""
_SMALL_BATCH = 16


class LossGuard:
    """Looks at the loss of the student's own phase; critics and generators have losses of other kinds.

    Args:
        phases: Of the objective.
        training: Of the run.
        num_classes: Of the data; None where numbers are predicted, whose loss has no chance to compare with.
    """

    def __init__(self, phases: Sequence[RunningPhase], training: TrainingSettings, num_classes: int | None) -> None:
        own = [running for running in phases if running.phase.name == "student"]
        self._prefix = "student/" if len(phases) > 1 else ""
        self._watches = bool(own) and num_classes is not None
        self._chance = math.log(max(num_classes or 2, 2))
        self._hint = ""
        for running in own:
            running.updater.if_diverged = self._hint = way_out(running.base_lr, training)

    def look(self, values: Mapping[str, float], at: Position) -> None:
        """Count a step's loss in the run's position.

        Args:
            values: The step's terms by name.
            at: Where the run stands; holds what was counted, so that a resumed run stops where the first would have.

        Raises:
            DivergedError: The loss has exploded.
        """
        if not self._watches:
            return
        terms = [value for name, value in values.items() if name.startswith(self._prefix) and "grad_norm" not in name]
        loss = sum(terms)
        if at.first_loss is None:
            at.first_loss = loss
        limit = FACTOR * max(at.first_loss, self._chance)
        at.high_steps = at.high_steps + 1 if loss > limit else 0
        if at.high_steps >= STEPS:
            raise DivergedError(
                f"the loss exploded: it began at {at.first_loss:.3g} (chance is {self._chance:.3g}) and was above "
                f"{limit:.3g} for {STEPS} steps, {loss:.3g} at step {at.step + 1}",
                hint=self._hint,
            )


def way_out(lr: float, training: TrainingSettings) -> str:
    """The likely causes of a loss that explodes, and what to do about each."""
    ways = [f"the learning rate {lr:g} is too high for this network and batch: --set optimizer.lr={lr / 10:.2g}"]
    if training.clip_norm is None:
        ways.append("or clip its gradients (--set training.clip_norm=1)")
    if training.batch_size // training.accumulate < _SMALL_BATCH:
        ways.append("use a larger --batch-size, this one is small")
    if training.precision == "fp16":
        ways.append("or --precision bf16 or fp32: fp16 overflows")
    return ", ".join(ways)
