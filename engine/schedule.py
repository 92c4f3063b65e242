"""The learning rate as a pure function of the position in the run: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from .settings import ScheduleSettings


def lr_factor(schedule: ScheduleSettings, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The factor on the base learning rate at a step.

    Args:
        schedule: The schedule.
        step: 0-based global step, before its update.
        steps_per_epoch: Steps in an epoch.
        epochs: Epochs in the run; where a cosine ends.

    Returns:
        A factor, 1.0 at the base rate.
    """
    position = step / steps_per_epoch  # in epochs
    epoch = step // steps_per_epoch
    if position < schedule.warmup_epochs:
        return schedule.warmup_start + (1 - schedule.warmup_start) * position / schedule.warmup_epochs
    if schedule.name == "constant":
        return 1.0
    dropped = schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)
    if schedule.name == "milestones":
        return dropped
    if schedule.name == "exponential":
        periods = (position if schedule.update == "step" else epoch) / schedule.period_epochs
        return schedule.gamma ** (math.floor(periods) if schedule.staircase else periods)
    done = (position if schedule.update == "step" else float(epoch)) - schedule.warmup_epochs
    fraction = min(1.0, max(0.0, done / max(epochs - schedule.warmup_epochs, 1e-9)))
    cosine = schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * fraction))
    return cosine * dropped if schedule.name == "cosine_milestones" else cosine
