"""FitNets' hints: a teacher's hidden layer guides one of the student's, through a regressor that is not kept.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv 1412.6550, §2.2 and Eq. 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from .feature_matching import coarser, places


class StageShape(NamedTuple):
    """The map that a stage of a network gives."""

    channels: int
    height: int
    width: int


def stage_pairs(student: Sequence[StageShape], teacher: Sequence[StageShape]) -> list[tuple[int, int]]:
    """The places of stages whose maps have the same height to within a factor of √2; of several such, the last ones.

    Where both networks see images of one size these are the stages of the same stride.

    Args:
        student: Its stages, the earliest first.
        teacher: Likewise.
    """
    own, theirs = ({shape.height: index for index, shape in enumerate(shapes)} for shapes in (student, teacher))
    pairs = []
    for height, index in own.items():
        nearest = min(theirs, key=lambda other: abs(math.log(other / height)), default=0)
        if nearest and max(nearest / height, height / nearest) <= math.sqrt(2):
            pairs.append((index, theirs[nearest]))
    return pairs


def hint_loss(guided: Tensor, hint: Tensor, regressor: nn.Module) -> Tensor:
    """The mean of (r(v) − u)² over images, places and channels, at the coarser of both maps' sizes.

    Args:
        guided: v, the student's map, (B, C, H, W).
        hint: u, the teacher's, (B, C', H', W').
        regressor: r, from C to C' channels, which are its last axis: a convolution of 1×1.
    """
    size = coarser(guided, hint)
    return functional.mse_loss(regressor(places(guided, size)), places(hint, size))
