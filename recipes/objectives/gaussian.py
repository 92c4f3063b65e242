"""Regression outputs as isotropic Gaussians: reading, likelihood and divergence.

XCL models a gaze prediction as N(μ, σI) with d + 1 network outputs (supplement, A.1). It does not say whether σ is a
standard deviation or a variance, nor how it is made positive: both readings are here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Gaussian(NamedTuple):
    """A batch of isotropic Gaussians.

    Attributes:
        mean: (B, d).
        std: (B, 1), positive, the standard deviation of every coordinate.
    """

    mean: Tensor
    std: Tensor


def read_gaussian(
    outputs: Tensor,
    *,
    scale: Literal["std", "variance"] = "std",
    positivity: Literal["softplus", "exp"] = "softplus",
    floor: float = 1e-4,
) -> Gaussian:
    """Reads a network's d + 1 outputs as a Gaussian.

    Args:
        outputs: (B, d+1), the scale last.
        scale: Whether the mapped scale is the standard deviation or the variance.
        positivity: The map to positive numbers: log(1 + eˣ), or eˣ.
        floor: Added to the mapped scale (in the scale's own unit), so that the likelihood stays bounded.
    """
    if outputs.shape[-1] < 2:
        raise ValueError(f"a Gaussian needs a mean and a scale, got {outputs.shape[-1]} output")
    if outputs.dtype not in (torch.float32, torch.float64):
        outputs = outputs.float()
    raw = outputs[..., -1:]
    value = (F.softplus(raw) if positivity == "softplus" else torch.exp(raw)) + floor
    return Gaussian(outputs[..., :-1], value if scale == "std" else value.sqrt())


def mean_gaussian(parts: Sequence[Gaussian]) -> Gaussian:
    """The isotropic Gaussian with the mean and the total variance of the equal mixture of several.

    Its variance is the mean of theirs and, per coordinate, the mean squared distance of their means from its own.
    """
    means, stds = torch.stack([part.mean for part in parts]), torch.stack([part.std for part in parts])
    mean = means.mean(dim=0)
    apart = (means - mean).square().mean(dim=(0, 2))[:, None]
    return Gaussian(mean, (stds.square().mean(dim=0) + apart).sqrt())


def gaussian_nll(prediction: Gaussian, target: Tensor) -> Tensor:
    """−log N(target; μ, σ²I) in nats, summed over coordinates, averaged over the batch.

    Args:
        prediction: Of (B, d) means.
        target: (B, d).
    """
    d = target.shape[-1]
    squared = (target - prediction.mean).square().sum(dim=-1)
    std = prediction.std.squeeze(-1)
    return (0.5 * d * math.log(2 * math.pi) + d * std.log() + squared / (2 * std.square())).mean()


def gaussian_kl(student: Gaussian, teacher: Gaussian) -> Tensor:
    """KL(teacher‖student) in closed form, in nats, averaged over the batch.

    d ln(σ_s/σ_t) + (d σ_t² + ‖μ_t − μ_s‖²) / (2 σ_s²) − d/2

    Returns:
        A scalar, at least 0; 0 where both agree.
    """
    d = student.mean.shape[-1]
    student_std, teacher_std = student.std.squeeze(-1), teacher.std.squeeze(-1)
    squared = (teacher.mean - student.mean).square().sum(dim=-1)
    spread = (d * teacher_std.square() + squared) / (2 * student_std.square())
    return (d * (student_std / teacher_std).log() + spread - d / 2).mean()
