"""Objectives of networks that predict numbers, with or without their uncertainty."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ..base.setting_values import Range
from .recipe import ObjectiveSettings, Task


@dataclass(frozen=True, kw_only=True)
class RegressionSettings(ObjectiveSettings, ABC):
    """A loss, and how the outputs are read as an isotropic Gaussian.

    Attributes:
        loss: ``mse`` has an output a number; any other has the scale beside them.
        scale: Whether the scale is a standard deviation (``std``) or a ``variance``, in the targets' unit.
        positivity: How it is made positive: ``softplus`` or ``exp``.
        floor: Added to it.
    """

    loss: str
    scale: Literal["std", "variance"]
    positivity: Literal["softplus", "exp"]
    floor: Annotated[float, Range(0, 1)]

    @property
    def task(self) -> Task:
        return "regression"

    def num_outputs(self, size: int) -> int:
        return size if self.loss == "mse" else size + 1

    def output_form(self) -> dict[str, Any]:
        return {"form": "mean"} if self.loss == "mse" else {"form": "gaussian", **self.reading()}

    def reading(self) -> dict[str, Any]:
        """The arguments of ``read_gaussian`` for the network's outputs."""
        return {"scale": self.scale, "positivity": self.positivity, "floor": self.floor}
