"""A segmentor as it is evaluated and used: how it is shown an image, and the map of classes that it gives."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...base.errors import UsageError
from ...base.writing import write_file
from ...data.segmentation import MaskEvalView, ShownImage
from ...evaluation.prediction.files import Prediction
from ..dense.pictures import resized
from ..dense.predictor import DensePredictor
from ..dense.trained import TrainedNetwork
from .drawing import tinted
from .engines import choose_engine, make_engine
from .inference import normalised, padded, predicted_labels, slide
from .predictions import write_mask
from .segmentor import Segmentor
from .settings import SegmentationSettings

CLASSES, TABLE = "classes.txt", "masks.jsonl"
"""Beside the masks: the names in the order of their numbers, and a line an image."""
_DRAWN_SIDE = 1024  # pixels


@dataclass(frozen=True, kw_only=True)
class MaskPrediction(Prediction):
    """What a segmentor makes of an image: ``classes`` are those that it sees, the largest first.

    Attributes:
        labels: uint8, (H, W): a number of a class for each pixel of the image.
        shares: Of the pixels, for each of the classes.
        mask: The file of the labels, below the folder that was asked for; empty where none was.
    """

    labels: np.ndarray
    shares: tuple[float, ...]
    mask: str = ""

    def answer(self) -> dict[str, Any]:
        shares = zip(self.classes, self.shares, strict=True)
        return {"mask": self.mask, "classes": [{"class": name, "share": round(share, 6)} for name, share in shares]}

    def summary(self) -> str:
        return ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(self.classes, self.shares, strict=True))


class MaskPredictor(DensePredictor[ShownImage, Tensor]):
    """A segmentor, images at the size that it is tested at, and its classes; see `DensePredictor`.

    Args:
        network: With its weights.
        settings: Of its run.
        class_names: In label order.
        colours: RGB of each class.
    """

    END: ClassVar[str] = ".png"

    network: Segmentor
    settings: SegmentationSettings

    def __init__(
        self,
        network: Segmentor,
        settings: SegmentationSettings,
        class_names: tuple[str, ...],
        colours: tuple[tuple[int, int, int], ...],
    ) -> None:
        super().__init__(network, settings, class_names)
        self.colours = colours
        self.view = MaskEvalView((settings.test_scale[0], settings.test_scale[1]) if settings.test_scale else None)

    def find(self, model: nn.Module, shown: ShownImage, device: torch.device) -> Tensor:
        """The label of each pixel of the stored image: uint8, (H, W)."""
        return predicted_labels(self.logits(model, shown, device), shown.size)

    def logits(self, model: nn.Module, shown: ShownImage, device: torch.device) -> Tensor:
        """Of each pixel of the shown image: (1, C, h, w)."""
        segmentor, own = self.network, self.settings
        images = normalised(shown.image[None], segmentor.preprocessing, device)

        def logits(part: Tensor) -> Tensor:
            return padded(partial(segmentor.logits, model), part, segmentor.multiple)

        return slide(logits, images, own.crop, own.window_stride()) if own.test_mode == "slide" else logits(images)

    def prediction(self, path: str, found: Tensor) -> MaskPrediction:
        labels = found.cpu().numpy()
        counts = np.bincount(labels.ravel(), minlength=len(self.class_names))
        seen = [label for label in np.argsort(-counts, kind="stable").tolist() if counts[label]]
        return MaskPrediction(
            path=path,
            classes=tuple(self.class_names[label] for label in seen),
            shares=tuple(float(counts[label] / labels.size) for label in seen),
            labels=labels,
        )

    def drawn(self, image: Image.Image, prediction: MaskPrediction) -> Image.Image:
        return resized(tinted(image, prediction.labels, self.colours), _DRAWN_SIDE)

    def table_path(self, out: Path) -> Path:
        """The table beside the masks; writes the names of their classes there."""
        if out.suffix in (".csv", ".jsonl", ".parquet") or out.is_file():
            raise UsageError(f"masks are written to a folder, and {out} is a file", hint=f"--out {out.with_suffix('')}")
        write_file(out / CLASSES, "".join(f"{name}\n" for name in self.class_names))
        return out / TABLE

    def keep(self, out: Path, name: str, prediction: MaskPrediction) -> Prediction:
        mask = f"{name}{self.END}"
        write_mask(out / mask, prediction.labels, self.colours)
        return dataclasses.replace(prediction, mask=mask)


def open_predictor(run: TrainedNetwork, score_threshold: float | None = None) -> MaskPredictor:
    """The segmentor of a run, with its weights.

    Args:
        run: What it says of its network.
        score_threshold: None: there are no scores.

    Raises:
        ModelError, CheckpointError: It cannot be built here, or its weights are damaged.
        UsageError: Its engine is not installed, or there is a threshold.
    """
    if score_threshold is not None:
        raise UsageError("a segmentor gives each pixel a class, and no scores", hint="leave --score-threshold out")
    settings = run.settings(SegmentationSettings)
    engine = make_engine(choose_engine(run.engine, settings.head))
    network = engine.build(run.backbone(), settings, len(run.class_names), 0)
    run.fill(network)
    return MaskPredictor(network, settings, run.class_names, run.colours)
