"""A model with everything that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .preprocessing import Preprocessing


@dataclass(kw_only=True)
class LoadedModel:
    """A built network and what its entry says of it.

    Attributes:
        reference: Names this model, weights included; a bare name only where the weights are random.
        architecture: timm's name.
        model_args: Arguments of the architecture that differ from its defaults (JSON values; the class count apart).
        model: The network, on the CPU, float32, in training mode, with timm's interface.
        preprocessing: What it expects of its images.
        class_names: In the order of the outputs; empty where unknown.
        num_classes: Outputs.
        promised_top1: Percent, on ``promised_on``'s own validation images, or None.
        promised_on: Name of the data of the promise.
        licence: Of the weights, as their publisher states it.
        pretrained: Whether the weights were loaded; False where they are random.
        notes: What the user should know about how it was resolved.
        provenance: The record that kdzoo wrote beside the weights; empty for others.
    """

    reference: str
    architecture: str
    model: nn.Module
    preprocessing: Preprocessing
    num_classes: int
    model_args: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    promised_top1: float | None = None
    promised_on: str | None = None
    licence: str | None = None
    pretrained: bool = False
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
