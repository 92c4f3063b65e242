"""An exponential moving average of the student's weights."""

from __future__ import annotations

from typing import Any

from timm.utils import ModelEmaV3
from torch import nn


class WeightAverage:
    """timm's ``ModelEmaV3``: the average starts as a copy of the weights and follows them after every step.

    Args:
        model: The student.
        decay: Weight of the old average in each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._average = ModelEmaV3(model, decay=decay)

    @property
    def model(self) -> nn.Module:
        """The network that holds the average."""
        module: nn.Module = self._average.module
        return module

    def update(self, model: nn.Module) -> None:
        """Move the average one step towards the student's weights."""
        self._average.update(model)

    def state(self) -> dict[str, Any]:
        """The average's weights and buffers."""
        return dict(self.model.state_dict())

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.model.load_state_dict(state)
