"""Two students over several draws of the data, each draw measured on the same held-out images for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..engine.metrics.intervals import CONFIDENCE, mean_interval


@dataclass(frozen=True)
class DrawGain:
    """What one draw of the data gave.

    Attributes:
        name: The draw, as a data spec.
        baseline: Top-1 of the student on labels, percent.
        distilled: Top-1 of the distilled student, percent.
        num_images: Held-out images that both were measured on.
    """

    name: str
    baseline: float
    distilled: float
    num_images: int

    @property
    def gain(self) -> float:
        """Distilled less baseline, points."""
        return self.distilled - self.baseline


@dataclass(frozen=True)
class PooledGain:
    """The gain over all draws; every number is measured.

    Attributes:
        draws: At least one.
    """

    draws: tuple[DrawGain, ...]

    @property
    def mean(self) -> float:
        """Mean gain, points."""
        return sum(draw.gain for draw in self.draws) / len(self.draws)

    @property
    def wins(self) -> int:
        """Draws in which the distilled student is ahead."""
        return sum(draw.gain > 0 for draw in self.draws)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean gain by Student's t over the draws, points; None for a single draw."""
        found = mean_interval([draw.gain for draw in self.draws])
        return None if found is None else found[1:]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        draws = [{**vars(draw), "gain": draw.gain} for draw in self.draws]
        return {"mean": self.mean, "interval": self.interval, "wins": self.wins, "draws": draws}

    def figures(self) -> list[dict[str, str]]:
        """The mean gain, its interval and the draws won, as a page leads with them."""
        shown = [{"value": f"{self.mean:+.2f}", "label": "points, distilled less labels"}]
        if self.interval is not None:
            low, high = self.interval
            shown.append(
                {"value": f"{low:+.2f} to {high:+.2f}", "label": f"{100 * CONFIDENCE:.0f} % interval over the draws"}
            )
        return [*shown, {"value": f"{self.wins} of {len(self.draws)}", "label": "draws in which distilled is ahead"}]

    def verdict(self) -> str:
        """What the draws show, in plain words, whichever student is ahead."""
        count = len(self.draws)
        baseline, distilled = (sum(getattr(d, name) for d in self.draws) / count for name in ("baseline", "distilled"))
        points = f"{self.mean:+.2f} points ({distilled:.2f} % against {baseline:.2f} %)"
        first = f"Distilled against labels: {points}, ahead in {self.wins} of {count} draws"
        if self.interval is None:
            return f"{first}. One draw decides nothing."
        low, high = self.interval
        ends = f"{100 * CONFIDENCE:.0f} % interval over the draws {low:+.2f} to {high:+.2f}"
        if low > 0:
            return f"{first}, {ends}: distillation helped."
        if high < 0:
            return f"{first}, {ends}: distillation did harm."
        return f"{first}, {ends}: these draws alone do not decide."
