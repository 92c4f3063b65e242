"""Networks that name the classes of images: of any model reference, or of an exported ONNX file."""

from __future__ import annotations

import torch
from torch import Tensor

from ...base.errors import ModelError, UsageError
from ...data.eval_views import EvalView
from ...engine.distributed import choose_device
from ...engine.multilabel import MULTILABEL
from ...engine.teachers import normalise, weights_sha256
from ...zoo import LoadedModel
from ...zoo.features import forward_with_features, takes_conditions
from ...zoo.onnx_files import OnnxNetwork, load_for_inference

_IMAGENET_CLASSES = 1000


class Classifier:
    """A network with its preprocessing and the names of its classes.

    Args:
        loaded: The model, or an exported file.
        device: Where it runs; a file runs on the CPU.

    Attributes:
        reference: Names it.
        digest: Of its weights or its file, in hexadecimal.
        preprocessing: What its images go through.
        class_names: In the order of its outputs; empty for a backbone without a classifier.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device) -> None:
        model = loaded.model
        self.reference, self.preprocessing = loaded.reference, loaded.preprocessing
        self.class_names = loaded.class_names or _unnamed(loaded.num_classes)
        self.digest = model.sha256 if isinstance(model, OnnxNetwork) else weights_sha256(model)
        self._several = loaded.provenance.get("task") == MULTILABEL
        self._device, self._model = device, model.to(device).to(memory_format=torch.channels_last).eval()

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

    @torch.no_grad()
    def answer(self, pixels: Tensor, *, embeddings: bool) -> tuple[Tensor, Tensor | None]:
        """Probabilities (B, C) and, where wanted, embeddings (B, D), float32, on the CPU.

        Those of a model that learnt several classes an image are each a class's own, and do not sum to 1.

        Args:
            pixels: uint8, (B, 3, H, W).
            embeddings: Whether the features before the classifier are wanted.
        """
        look = self.preprocessing
        images = pixels.to(self._device).to(memory_format=torch.channels_last).to(torch.float32).div_(255)
        images = normalise(images, look.mean, look.std)
        logits, features = forward_with_features(self._model, images) if embeddings else (self._model(images), None)
        logits = logits[:, : len(self.class_names)].float()
        probabilities = logits.sigmoid() if self._several else logits.softmax(dim=1)
        return probabilities.cpu(), None if features is None else features.float().cpu()


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
    loaded = load_for_inference(reference, image_size=image_size)
    if embeddings and isinstance(loaded.model, OnnxNetwork):
        raise UsageError("an ONNX file gives no embeddings", hint="name the model that it was exported from")
    if takes_conditions(loaded.model) or loaded.provenance.get("task") == "regression":
        raise ModelError(f"{reference} predicts numbers, not classes", hint="kdzoo eval measures it")
    if loaded.num_classes == 0 and not embeddings:
        raise ModelError(f"{reference} is a backbone without a classifier", hint="--embeddings gives its features")
    return Classifier(loaded, choose_device(device))


def _unnamed(count: int) -> tuple[str, ...]:
    """Names of classes that the model does not name: ImageNet's where there are as many, else their numbers."""
    if count == _IMAGENET_CLASSES:
        from timm.data import ImageNetInfo

        info = ImageNetInfo()
        return tuple(info.index_to_description(index) for index in range(count))
    return tuple(map(str, range(count)))
