"""MixUp and CutMix over the global batch, drawn from (seed, epoch, step).

MixUp: H. Zhang et al., arXiv 1710.09412. CutMix: S. Yun et al., arXiv 1905.04899, Eq. 1-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from ..base.errors import UsageError
from ..base.setting_values import BetaParameter, Fraction, check_values
from .randomness import generator


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Whether and how batches are mixed.

    Attributes:
        mixup_alpha: Both parameters of MixUp's Beta distribution.
        mixup_prob: Probability that a batch is mixed by MixUp.
        cutmix_alpha: Both parameters of CutMix's Beta distribution.
        cutmix_prob: Probability that a batch is mixed by CutMix. One choice is made a batch: the probabilities add up
            to at most 1, and what is missing to 1 is left unmixed.
    """

    mixup_alpha: BetaParameter = 1.0
    mixup_prob: Fraction = 0.0
    cutmix_alpha: BetaParameter = 1.0
    cutmix_prob: Fraction = 0.0

    def __post_init__(self) -> None:
        check_values(self)
        if self.mixup_prob + self.cutmix_prob > 1 + 1e-9:
            raise UsageError(
                f"mixup_prob {self.mixup_prob} and cutmix_prob {self.cutmix_prob} must add up to at most 1",
                hint="one choice is made a batch; for either with equal chance set both to 0.5",
            )
        for name, prob, alpha in (
            ("mixup_alpha", self.mixup_prob, self.mixup_alpha),
            ("cutmix_alpha", self.cutmix_prob, self.cutmix_alpha),
        ):
            if prob > 0 and not alpha > 0:
                raise UsageError(
                    f"{name} must be positive, got {alpha}", hint="to turn it off set its probability to 0"
                )


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How one global batch is mixed.

    Attributes:
        kind: ``mixup`` or ``cutmix``.
        weight: λ, the share of the image itself (of its label too); for CutMix the exact share of pixels that stay.
        partner: int64, (global batch,): a permutation; image i is mixed with image ``partner[i]`` of the global batch.
        box: (top, left, height, width) that is taken from the partner (CutMix), or None.
    """

    kind: Literal["mixup", "cutmix"]
    weight: float
    partner: np.ndarray
    box: tuple[int, int, int, int] | None = None


def draw_mix(
    mixing: Mixing, global_batch: int, height: int, width: int, seed: int, epoch: int, step: int
) -> Mix | None:
    """Draw how a step's global batch is mixed, or None for not at all; the same on every rank.

    Args:
        global_batch: Images in the global batch.
        height, width: Of the images, pixels.
        step: Step within the epoch.
    """
    if mixing.mixup_prob == 0 and mixing.cutmix_prob == 0:
        return None
    rng = generator(seed, "mix", epoch, step)
    choice = rng.random()
    if choice < mixing.mixup_prob:
        weight = float(rng.beta(mixing.mixup_alpha, mixing.mixup_alpha))
        return Mix(kind="mixup", weight=weight, partner=_permutation(global_batch, rng))
    if choice < mixing.mixup_prob + mixing.cutmix_prob:
        box = _draw_box(float(rng.beta(mixing.cutmix_alpha, mixing.cutmix_alpha)), height, width, rng)
        weight = 1.0 - box[2] * box[3] / (height * width)
        return Mix(kind="cutmix", weight=weight, partner=_permutation(global_batch, rng), box=box)
    return None


def apply_mix(images: Tensor, partners: Tensor, mix: Mix) -> Tensor:
    """The mixed images, in a new tensor of the same memory layout.

    Args:
        images: Float, (B, 3, H, W): all of the global batch or a rank's slice of it.
        partners: Float, (B, 3, H, W): for each of them, its partner in the global batch.
    """
    if mix.box is None:
        return images * mix.weight + partners * (1.0 - mix.weight)
    top, left, height, width = mix.box
    mixed = images.clone()
    region = (..., slice(top, top + height), slice(left, left + width))
    mixed[region] = partners[region]
    return mixed


def _permutation(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(rng.bit_generator.random_raw(size), kind="stable")


def _draw_box(weight: float, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """CutMix's box: sides √(1-λ) of the image's, its centre uniform, cut at the border."""
    side = math.sqrt(1.0 - weight)
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    y, x = int(rng.random() * height), int(rng.random() * width)
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    return top, left, bottom - top, right - left
