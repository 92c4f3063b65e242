"""Networks that name the classes of images: of any model reference, or of an exported ONNX file."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...base.digests import sha256_of
from ...base.errors import ModelError, UsageError
from ...data.eval_views import EvalView
from ...engine.distributed import choose_device
from ...engine.teachers import normalise, weights_sha256
from ...zoo import LoadedModel, Preprocessing, load_model
from ...zoo.exporting import require_onnx
from ...zoo.features import forward_with_features, takes_conditions

_IMAGENET_CLASSES = 1000
_ONNX_RECORD = "kdzoo."


class Classifier(ABC):
    """A network with its preprocessing and the names of its classes.

    Attributes:
        reference: Names it.
        digest: Of its weights, in hexadecimal.
        preprocessing: What its images go through.
        class_names: In the order of its outputs; empty for a backbone without a classifier.
    """

    def __init__(self, reference: str, digest: str, preprocessing: Preprocessing, class_names: tuple[str, ...]) -> None:
        self.reference, self.digest = reference, digest
        self.preprocessing, self.class_names = preprocessing, class_names

    @property
    def view(self) -> EvalView:
        """How an image becomes its input, as in its evaluation."""
        look = self.preprocessing
        return EvalView(
            image_size=look.image_size,
            image_width=look.image_width,
            crop_pct=look.crop_pct,
            interpolation=look.interpolation,
        )

    @abstractmethod
    def answer(self, pixels: Tensor, *, embeddings: bool) -> tuple[Tensor, Tensor | None]:
        """Probabilities (B, C) and, where wanted, embeddings (B, D), float32, on the CPU.

        Args:
            pixels: uint8, (B, 3, H, W).
            embeddings: Whether the features before the classifier are wanted.
        """


class TorchClassifier(Classifier):
    """A loaded model on a device."""

    def __init__(self, loaded: LoadedModel, device: torch.device) -> None:
        names = loaded.class_names or _unnamed(loaded.num_classes)
        super().__init__(loaded.reference, weights_sha256(loaded.model), loaded.preprocessing, names)
        self._device = device
        self._model = loaded.model.to(device).to(memory_format=torch.channels_last).eval()

    @torch.no_grad()
    def answer(self, pixels: Tensor, *, embeddings: bool) -> tuple[Tensor, Tensor | None]:
        look = self.preprocessing
        images = pixels.to(self._device).to(memory_format=torch.channels_last).to(torch.float32).div_(255)
        images = normalise(images, look.mean, look.std)
        logits, features = forward_with_features(self._model, images) if embeddings else (self._model(images), None)
        probabilities = logits[:, : len(self.class_names)].float().softmax(dim=1).cpu()
        return probabilities, None if features is None else features.float().cpu()


class OnnxClassifier(Classifier):
    """A file that ``kdzoo export --format onnx`` wrote, run by onnxruntime on the CPU."""

    def __init__(self, path: Path) -> None:
        require_onnx()
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            record = {
                key.removeprefix(_ONNX_RECORD): text
                for key, text in self._session.get_modelmeta().custom_metadata_map.items()
                if key.startswith(_ONNX_RECORD)
            }
            look = Preprocessing(
                image_size=int(record["image_size"]),
                mean=tuple(json.loads(record["mean"])),
                std=tuple(json.loads(record["std"])),
                interpolation=record["interpolation"],
                crop_pct=float(record["crop_pct"]),
            )
            classes = int(self._session.get_outputs()[0].shape[1])
            names = tuple(map(str, json.loads(record.get("class_names", "[]"))))
        except Exception as error:  # onnxruntime has an exception of its own for each kind of broken file
            line = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ModelError(
                f"{path} is no model that kdzoo exported ({line})", hint="make one with kdzoo export --format onnx"
            ) from error
        super().__init__(str(path), sha256_of(path), look, names if len(names) == classes else _unnamed(classes))

    def answer(self, pixels: Tensor, *, embeddings: bool) -> tuple[Tensor, Tensor | None]:
        images = normalise(pixels.to(torch.float32).div_(255), self.preprocessing.mean, self.preprocessing.std)
        logits: Any = self._session.run(None, {self._session.get_inputs()[0].name: images.contiguous().numpy()})[0]
        return torch.from_numpy(logits).float().softmax(dim=1), None


def open_classifier(
    reference: str, *, device: str = "auto", image_size: int | None = None, embeddings: bool = False
) -> Classifier:
    """The classifier that a reference, or the path of an ONNX file, names.

    Args:
        reference: A model reference, or the path of a file that ends in ``.onnx``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; an ONNX file is run on the CPU.
        image_size: Side of the crop in pixels, in place of the model's own.
        embeddings: Whether its embeddings will be wanted.

    Raises:
        ModelError: There is no such model, or it names no classes.
        UsageError: An ONNX file has one image size and no embeddings.
    """
    path = Path(reference).expanduser()
    if path.suffix == ".onnx":
        if not path.is_file():
            raise ModelError(f"there is no file {path}", hint="make one with kdzoo export --format onnx")
        if embeddings or image_size is not None:
            what = "gives no embeddings" if embeddings else "takes images of one size"
            raise UsageError(f"an ONNX file {what}", hint="name the model that it was exported from")
        return OnnxClassifier(path)
    loaded = load_model(reference, pretrained=True, image_size=image_size)
    if takes_conditions(loaded.model) or loaded.provenance.get("task") == "regression":
        raise ModelError(f"{reference} predicts numbers, not classes", hint="kdzoo eval measures it")
    if loaded.num_classes == 0 and not embeddings:
        raise ModelError(f"{reference} is a backbone without a classifier", hint="--embeddings gives its features")
    return TorchClassifier(loaded, choose_device(device))


def _unnamed(count: int) -> tuple[str, ...]:
    """Names of classes that the model does not name: ImageNet's where there are as many, else their numbers."""
    if count == _IMAGENET_CLASSES:
        from timm.data import ImageNetInfo

        info = ImageNetInfo()
        return tuple(info.index_to_description(index) for index in range(count))
    return tuple(map(str, range(count)))
