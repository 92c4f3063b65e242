"""Learning rates counted in iterations, as the dense frameworks count them: a pure function of the iteration."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class IterationSchedule:
    """A schedule of factors on the base learning rate.

    Attributes:
        iterations: Of the whole run.
        name: ``"multistep"`` (detectron2's WarmupMultiStepLR) or ``"poly"`` (mmsegmentation's PolyLR).
        milestones: Iterations at which a multistep rate drops.
        gamma: Factor of each drop.
        power: Of a poly rate.
        final: Factor that a poly rate ends at.
        warmup_iterations: Linear warm-up from ``warmup_factor`` to the rate that the schedule has after it.
        warmup_factor: Where the warm-up begins.
    """

    iterations: int
    name: Literal["multistep", "poly"] = "multistep"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    power: float = 0.9
    final: float = 0.0
    warmup_iterations: int = 0
    warmup_factor: float = 0.001

    def factor(self, iteration: int) -> float:
        """The factor at a 0-based iteration."""
        if iteration < self.warmup_iterations:
            start, end = self.warmup_factor * self._after_warmup(0), self._after_warmup(self.warmup_iterations)
            return start + (end - start) * iteration / self.warmup_iterations
        return self._after_warmup(iteration)

    def _after_warmup(self, iteration: int) -> float:
        if self.name == "multistep":
            return self.gamma ** bisect_right(sorted(self.milestones), iteration)
        left = max(0.0, 1 - iteration / self.iterations)
        return float(self.final + (1 - self.final) * left**self.power)
