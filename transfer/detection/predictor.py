"""A detector as it is evaluated and used: how it is shown an image, and the boxes that it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from ...data.detection import BoxBatch, BoxEvalView
from ...evaluation.prediction.files import Prediction, PredictionTable
from ..dense.pictures import resized, shown_scale
from ..dense.predictor import DensePredictor
from ..dense.trained import TrainedNetwork
from .detector import Detections, Detector
from .drawing import draw_found
from .engines import choose_engine, make_engine
from .settings import DetectionSettings

_CORNERS = ("x0", "y0", "x1", "y1")
_DRAWN_SIDE = 1024  # pixels


@dataclass(frozen=True, kw_only=True)
class BoxPrediction(Prediction):
    """What a detector finds in an image, the surest first: ``classes`` and ``probabilities`` are the boxes'.

    Attributes:
        boxes: float32, (N, 4): left, top, right, bottom in pixels of the image.
    """

    boxes: np.ndarray

    def answer(self) -> dict[str, Any]:
        rows = zip(self.classes, self.probabilities, self.boxes.tolist(), strict=True)
        found = [
            {"class": name, "score": round(score, 6)}
            | {corner: round(value, 2) for corner, value in zip(_CORNERS, box, strict=True)}
            for name, score, box in rows
        ]
        return {"boxes": found}

    def summary(self) -> str:
        rows = zip(self.classes, self.probabilities, self.boxes.tolist(), strict=True)
        found = [f"{name} {score:.3f} at {' '.join(f'{value:.0f}' for value in box)}" for name, score, box in rows]
        return ", ".join(found) or "nothing"


class BoxTable:
    """A row of CSV a box, of parquet an image."""

    def lines(self, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> Iterator[list[Any]]:
        """An image without boxes is a row of its path alone; see `PredictionTable`."""
        yield ["path", "class", "score", *_CORNERS, "error"]
        nothing = dict.fromkeys(("class", "score", *_CORNERS), "")
        for row in rows():
            for box in row.get("boxes") or [nothing]:
                yield [row["path"], *(box[name] for name in nothing), row.get("error", "")]

    def columns(self, pyarrow: Any) -> dict[str, Any]:
        """See `PredictionTable`."""
        text, number = pyarrow.string(), pyarrow.float32()
        box = pyarrow.struct({"class": text, "score": number, **dict.fromkeys(_CORNERS, number)})
        return {"path": text, "boxes": pyarrow.list_(box), "error": text}

    def record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """See `PredictionTable`."""
        return {"path": row["path"], "boxes": row.get("boxes"), "error": row.get("error")}


class BoxPredictor(DensePredictor[BoxBatch, Detections]):
    """A detector, images at the size that it is tested at, and its classes; see `DensePredictor`."""

    TABLE: ClassVar[PredictionTable | None] = BoxTable()

    network: Detector
    settings: DetectionSettings

    def __init__(self, network: Detector, settings: DetectionSettings, class_names: tuple[str, ...]) -> None:
        super().__init__(network, settings, class_names)
        self.view = BoxEvalView(short_side=settings.test_short_side, max_side=settings.test_max_side)

    def find(self, model: nn.Module, shown: BoxBatch, device: torch.device) -> Detections:
        (found,) = self.network.predict(model, shown, device)
        return found

    def prediction(self, path: str, found: Detections) -> BoxPrediction:
        names = tuple(self.class_names[label] for label in found.labels.tolist())
        return BoxPrediction(
            path=path, classes=names, probabilities=tuple(found.scores.tolist()), boxes=found.boxes.numpy()
        )

    def drawn(self, image: Image.Image, prediction: BoxPrediction) -> Image.Image:
        scale, picture = shown_scale(image.size, _DRAWN_SIDE), resized(image, _DRAWN_SIDE)
        rows = zip(prediction.boxes.tolist(), prediction.classes, prediction.probabilities, strict=True)
        draw_found(picture, rows, scale)
        return picture


def open_predictor(run: TrainedNetwork, score_threshold: float | None = None) -> BoxPredictor:
    """The detector of a run, with its weights.

    Args:
        run: What it says of its network.
        score_threshold: Boxes below this score are left out; the run's own by default.

    Raises:
        ModelError, CheckpointError: It cannot be built here, or its weights are damaged.
        UsageError: Its engine is not installed, or the threshold is no share.
    """
    changed = {} if score_threshold is None else {"score_threshold": score_threshold}
    settings = run.settings(DetectionSettings, **changed)
    engine = make_engine(choose_engine(run.engine))
    network = engine.build(run.backbone(), settings, len(run.class_names), 0)
    run.fill(network)
    return BoxPredictor(network, settings, run.class_names)
