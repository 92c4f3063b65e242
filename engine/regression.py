"""Regression of a gaze: what a pass over images with (pitch, yaw) counts, and the angle between two directions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..base.errors import DataError
from ..base.metrics import ANGULAR_ERROR, Metrics
from ..data import Batch, ImageSource
from .scoring import Scoring

GAZE = ("pitch", "yaw")


def directions(angles: Tensor) -> Tensor:
    """Unit vectors of (pitch, yaw) in radians, (B, 2) to (B, 3); (0, 0) looks along (0, 0, −1)."""
    pitch, yaw = angles.unbind(dim=1)
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], dim=1)


def angular_errors(predicted: Tensor, targets: Tensor) -> Tensor:
    """The angle between predicted and true gaze in degrees, float64, (B,).

    Args:
        predicted: (B, 2), pitch and yaw in radians.
        targets: (B, 2).
    """
    one, other = directions(predicted.double()), directions(targets.double())
    # The arc tangent is exact for small angles too, where the arc cosine of a product near 1 is not.
    sine, cosine = torch.linalg.vector_norm(torch.linalg.cross(one, other), dim=1), (one * other).sum(dim=1)
    return torch.rad2deg(torch.atan2(sine, cosine))


def count_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sums of angle, squared angle (degrees) and squared error (radians², mean of the coordinates), and the count.

    Args:
        outputs: (B, D) or (B, D + 1), the prediction first; what stands behind it is its uncertainty.
        targets: (B, D).

    Returns:
        float64, (4,).
    """
    predicted = outputs[:, : targets.shape[1]].double()
    angles = angular_errors(predicted, targets)
    squared = (predicted - targets.double()).square().mean(dim=1).sum()
    return torch.stack([angles.sum(), angles.square().sum(), squared, squared.new_full((), len(targets))])


def _gaze_metrics(sums: Tensor) -> Metrics:
    angles, squared_angles, squared_errors, count = sums.tolist()
    mean = angles / count
    spread = math.sqrt(max(0.0, squared_angles / count - mean * mean))
    values = {"angular_error": mean, "angular_spread": spread, "loss": squared_errors / count}
    return Metrics(ANGULAR_ERROR, values, int(count))


def check_targets(batch: Batch, source: ImageSource, answers: Sequence[Tensor]) -> Tensor:
    """The batch's targets, after a look at them and at what should predict them.

    Raises:
        DataError: They are no gaze, an image has none, or a network has another number of outputs than they need.
    """
    if source.target_names != GAZE or batch.targets is None:
        raise DataError(
            f"{source.name} has targets {', '.join(source.target_names) or 'of no name'}",
            hint="a gaze, pitch and yaw in radians, is what regression is measured on",
        )
    missing = torch.isnan(batch.targets).any(dim=1)
    if missing.any():
        first = int(batch.sample_ids[int(missing.nonzero()[0])])
        raise DataError(
            f"{source.name} ({source.split}) has no gaze for {source.identity(first)}",
            hint="evaluate on images with targets",
        )
    check_outputs(min(len(answer[0]) for answer in answers), source)
    check_outputs(max(len(answer[0]) for answer in answers), source)
    return batch.targets


def check_outputs(outputs: int, source: ImageSource, who: str = "the model") -> None:
    """Refuse a network that does not predict these targets, with or without one number of uncertainty.

    Raises:
        DataError: The number of outputs is another one.
    """
    wanted = len(source.target_names)
    if outputs not in (wanted, wanted + 1):
        raise DataError(
            f"{who} has {outputs} outputs, {source.name} has the targets {' and '.join(source.target_names)}",
            hint=f"it takes {wanted} outputs, or {wanted + 1} with the uncertainty",
        )


GAZE_SCORING = Scoring(truth=check_targets, count=count_errors, metrics=_gaze_metrics, label="degrees")
