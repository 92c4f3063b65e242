"""A dense network as it is evaluated and as it is used: one way to show it an image and to read its answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from PIL import Image
from torch import nn

from ...evaluation.prediction.files import Prediction, PredictionTable
from .engines import DenseNetwork

Shown = TypeVar("Shown")
Found = TypeVar("Found")


class DensePredictor(ABC, Generic[Shown, Found]):
    """A network over a backbone, the way that an image is shown to it, and the names of what it finds.

    Args:
        network: With its weights.
        settings: Of its run.
        class_names: In label order.

    Attributes:
        view: From a stored image to what the network takes; can be sent to another process.
    """

    TABLE: ClassVar[PredictionTable | None] = None
    """How its predictions stand in CSV and parquet; None where they are written as JSON lines alone."""

    END: ClassVar[str] = ""
    """Of the files that `keep` writes; empty where it writes none."""

    view: Callable[[Image.Image], Shown]

    def __init__(self, network: DenseNetwork, settings: Any, class_names: tuple[str, ...]) -> None:
        self.network, self.settings, self.class_names = network, settings, class_names

    @abstractmethod
    def find(self, model: nn.Module, shown: Shown, device: torch.device) -> Found:
        """What the network finds in an image, in evaluation mode.

        Args:
            model: The network's, or one with its weights.
            shown: See ``view``.
            device: Where the model is.
        """

    @abstractmethod
    def prediction(self, path: str, found: Found) -> Prediction:
        """What was found in the image of a path, by the classes' names."""

    @abstractmethod
    def drawn(self, image: Image.Image, prediction: Any) -> Image.Image:
        """A picture of what was found in an image."""

    def table_path(self, out: Path) -> Path:
        """The file that gets a row an image where ``out`` was asked for; what lies beside it is made ready.

        Raises:
            UsageError: ``out`` is not what such predictions are written to.
        """
        return out

    def keep(self, out: Path, name: str, prediction: Any) -> Prediction:
        """Write what of a prediction does not stand in the table; returns the prediction with its place.

        Args:
            out: What was asked for.
            name: Of the image's file below ``out``, without `END`.
            prediction: Of it.
        """
        found: Prediction = prediction
        return found
