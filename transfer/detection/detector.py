"""What an engine makes of a backbone: a detector that one loop trains and one metric judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...data.detection import BoxBatch
from ..dense.engines import DenseNetwork, Engine
from .settings import DetectionSettings


@dataclass(frozen=True)
class Detections:
    """What a detector finds in one image, best first.

    Attributes:
        boxes: float32, (N, 4): left, top, right, bottom in pixels of the stored image.
        scores: float32, (N,).
        labels: int64, (N,), 0-based.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class Detector(DenseNetwork):
    """A detector.

    Attributes:
        losses: Named losses of a batch, in training mode.
        predict: What it finds in each image of a batch, in evaluation mode.
    """

    losses: Callable[[nn.Module, BoxBatch, torch.device], dict[str, Tensor]]
    predict: Callable[[nn.Module, BoxBatch, torch.device], list[Detections]]


DetectionEngine = Engine[DetectionSettings, Detector]


def to_original(boxes: Tensor, view: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes in pixels of a view to pixels of the stored image; sizes are (height, width)."""
    scale = boxes.new_tensor([original[1] / view[1], original[0] / view[0]] * 2)
    limit = boxes.new_tensor([original[1], original[0]] * 2)
    return torch.minimum((boxes * scale).clamp(min=0), limit)
