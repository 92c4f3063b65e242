"""Two models' answers to the same images: McNemar's exact test, and a bootstrap interval of the difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...data import generator
from ...engine.metrics.intervals import CONFIDENCE, mcnemar
from ..results import Predictions

RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """What the answers to the same images say of two models.

    Attributes:
        num_images: That count for both.
        only_first: Images that the first model alone has right.
        only_second: Images that the second model alone has right.
        same_answers: Images to which both give the same first answer.
        difference: Second less first, in points of the share of right first answers.
        low: Lower end of its bootstrap interval, over images.
        high: Its upper end.
        p_value: Of McNemar's exact test, two-sided; 1 where no image tells the two apart.
        confidence: Of the interval.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    num_images: int
    only_first: int
    only_second: int
    same_answers: int
    difference: float
    low: float
    high: float
    p_value: float
    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def sentence(self, first: str, second: str) -> str:
        """The finding in plain words."""
        images = f"{self.num_images:,} images"
        if self.same_answers == self.num_images:
            return f"{first} and {second} give the same first answer to all {images}"
        if not self.only_first + self.only_second:
            return f"{first} and {second} are right on exactly the same of {images}: nothing tells them apart"
        counts = f"{self.only_second:,} of {images} only {second} has right, {self.only_first:,} only {first}"
        ends = f"{self.confidence:.0%} interval {self.low:+.2f} to {self.high:+.2f}".replace("%", " %")
        basis = f"({ends} over images; McNemar's exact p = {_p(self.p_value)}; {counts})"
        if self.p_value < 1 - self.confidence:
            word = "more" if self.difference > 0 else "less"
            return f"{second} is right {word} often than {first}, by {abs(self.difference):.2f} points {basis}"
        return f"no difference between {first} and {second} can be told: {self.difference:+.2f} points {basis}"


def paired_test(first: Predictions, second: Predictions, *, seed: int = 0) -> PairedTest:
    """Compare two models image by image.

    The bootstrap draws images with replacement and takes the 2.5 % and 97.5 % points of the resampled differences. An
    image adds -1, 0 or +1 to the difference, so a resample is one draw of a multinomial distribution.

    Args:
        first: Of the one model.
        second: Of the other, to the same images in the same order.
        seed: Of the bootstrap.

    Raises:
        ValueError: They are not of the same images; see `why_not_paired`.
    """
    reason = why_not_paired(first, second)
    if reason is not None:
        raise ValueError(reason)
    counted = first.counted
    one, other = first.correct[counted], second.correct[counted]
    n = len(one)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    shares = [only_first / n, only_second / n, (n - only_first - only_second) / n]
    draws = generator(seed, "compare").multinomial(n, shares, size=RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(100.0 * (draws[:, 1] - draws[:, 0]) / n, [tail, 1 - tail])
    return PairedTest(
        num_images=n,
        only_first=only_first,
        only_second=only_second,
        same_answers=int((first.top5[counted, 0] == second.top5[counted, 0]).sum()),
        difference=100.0 * (only_second - only_first) / n,
        low=float(low),
        high=float(high),
        p_value=mcnemar(only_first, only_second),
        seed=seed,
    )


def why_not_paired(first: Predictions, second: Predictions) -> str | None:
    """Why two models' answers cannot be compared image by image, or None where they can."""
    if len(first) != len(second):
        return f"the answers are to {len(first):,} and to {len(second):,} images"
    if not np.array_equal(first.labels, second.labels):
        return "the images have other labels, or stand in another order"
    if not np.array_equal(first.counted, second.counted):
        return "other images count"
    return None if first.counted.any() else "no image counts"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
