"""What an engine makes of a backbone: a detector that one loop trains and one metric judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...data.detection import BoxBatch
from ...zoo import LoadedModel
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
class Detector:
    """A detector.

    Attributes:
        model: Everything that is trained, heads and backbone.
        stage_of: The stage (0 to 4) of each parameter of the backbone, by its name in ``model``.
        unused: The backbone's weights that the detector has no use for, such as the classifier.
        losses: Named losses of a batch, in training mode.
        predict: What it finds in each image of a batch, in evaluation mode.
        notes: What the reader should know about how it was built.
        extra_state: What the model keeps outside its tensors, and how to set it again.
        documents: Texts for the run folder, by file name.
    """

    model: nn.Module
    stage_of: Mapping[str, int]
    unused: tuple[str, ...]
    losses: Callable[[nn.Module, BoxBatch, torch.device], dict[str, Tensor]]
    predict: Callable[[nn.Module, BoxBatch, torch.device], list[Detections]]
    notes: tuple[str, ...] = ()
    extra_state: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
    documents: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """A framework that builds detectors.

    Attributes:
        name: ``torchvision`` or ``detectron2``.
        version: Of the framework.
    """

    name: str
    version: str

    def build(self, loaded: LoadedModel, settings: DetectionSettings, num_classes: int, seed: int) -> Detector:
        """A detector over a backbone, on the CPU; the heads' first weights are a function of the seed."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs, and why.

    Attributes:
        name: ``torchvision`` or ``detectron2``.
        note: One line.
        install: The lines that would install the engine that was missed; empty where none was.
    """

    name: str
    note: str
    install: tuple[str, ...] = field(default_factory=tuple)


def to_original(boxes: Tensor, view: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes in pixels of a view to pixels of the stored image; sizes are (height, width)."""
    scale = boxes.new_tensor([original[1] / view[1], original[0] / view[0]] * 2)
    limit = boxes.new_tensor([original[1], original[0]] * 2)
    return torch.minimum((boxes * scale).clamp(min=0), limit)
