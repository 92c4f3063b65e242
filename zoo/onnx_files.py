"""An ONNX file that kdzoo exported, as a model that can be asked: for evaluation and prediction alike."""

from __future__ import annotations

import importlib.util
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..base.digests import sha256_of
from ..base.errors import ModelError, UsageError
from ..base.regular_files import refuse_special
from .building import load_model
from .loaded import LoadedModel
from .preprocessing import preprocessing_from_dict

RECORD = "kdzoo."
"""Before the names of what kdzoo writes into a file's metadata."""

LOGITS = "logits (N, classes)"
"""What a classifier's record says of its output."""

_WARM_UP, _MOST_RUNS, _LEAST_RUNS, _ENOUGH_S = 5, 100, 10, 2.0
_MAKE_ONE = "make one with kdzoo export --format onnx"


def require_onnx() -> None:
    """Refuse where what ONNX needs is not installed.

    Raises:
        ModelError: A package is missing; says how to get it.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(f"ONNX needs {', '.join(missing)}", hint="pip install 'kdzoo[onnx]'")


class OnnxNetwork(nn.Module):
    """A network that onnxruntime runs on the CPU, with as many threads as torch has; it cannot be trained.

    Args:
        path: The file.

    Attributes:
        sha256: Of the file.
        record: What kdzoo wrote into its metadata, by name.
        takes: Number of its inputs, type and shape of the first; the number of images is a text.
        num_outputs: Numbers an image.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        written = self._session.get_modelmeta().custom_metadata_map
        self.record = {key.removeprefix(RECORD): text for key, text in written.items() if key.startswith(RECORD)}
        self.sha256 = sha256_of(path)
        inputs = self._session.get_inputs()
        self._input, self.takes = inputs[0].name, (len(inputs), inputs[0].type, tuple(inputs[0].shape))
        self.num_outputs = int(self._session.get_outputs()[0].shape[1])

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images, float32, on the images' device."""
        found: Any = self._session.run(None, {self._input: images.cpu().contiguous().numpy()})[0]
        return torch.from_numpy(found).to(images.device)

    def latency(self) -> dict[str, float | int]:
        """Milliseconds for one image, from call to answer: median and quartiles of the calls after a few that warm up.

        Random numbers are shown, up to 100 times and, from the tenth on, not longer than two seconds.
        """
        image, seconds = torch.rand(1, *self.takes[2][1:]), list[float]()
        for call in range(_WARM_UP + _MOST_RUNS):
            began = time.perf_counter()
            self(image)
            seconds += [time.perf_counter() - began] if call >= _WARM_UP else []
            if len(seconds) >= _LEAST_RUNS and sum(seconds) > _ENOUGH_S:
                break
        low, median, high = (1000 * value for value in statistics.quantiles(seconds, n=4))
        return {"median": median, "low": low, "high": high, "calls": len(seconds)}


def load_for_inference(reference: str, *, image_size: int | None = None) -> LoadedModel:
    """A model with its weights, or an ONNX file that kdzoo exported.

    Args:
        reference: A model reference, or the path of a file that ends in ``.onnx``.
        image_size: Side of its images in pixels, in place of the model's own; a file has one.

    Raises:
        ModelError: As ``load_model``; or the file is not there, not whole, no classifier, or not of kdzoo's making.
        UsageError: The file takes images of another size.
    """
    if not reference.endswith(".onnx"):
        return load_model(reference, pretrained=True, image_size=image_size)
    path = Path(reference).expanduser()
    refuse_special(path, what="the model")
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint=_MAKE_ONE)
    loaded = read_onnx(path)
    own = loaded.preprocessing.input_size[1:]
    if image_size is not None and own != (image_size, image_size):
        raise UsageError(
            f"{path} takes images of {own[0]}x{own[1]} pixels alone",
            hint=f"export the model again, with --image-size {image_size}",
        )
    return loaded


def read_onnx(path: Path) -> LoadedModel:
    """Read a file and what it says of its images and classes.

    Raises:
        ModelError: A package is missing; the file is no classifier that kdzoo exported.
    """
    require_onnx()
    try:
        network = OnnxNetwork(path)
        record = network.record
        lists = {name: json.loads(record[name]) for name in ("mean", "std")}
        look = preprocessing_from_dict({**record, **lists}, str(path))
        names = tuple(map(str, json.loads(record.get("class_names", "[]"))))
        number, kind, shape = network.takes
        if (number, kind, shape[1:]) != (1, "tensor(float)", look.input_size):
            raise ValueError(f"it takes {shape}, its record says {look.input_size}")
    except KeyError as error:
        raise ModelError(
            f"{path} is no model that kdzoo exported (its metadata has no {RECORD}{error.args[0]})", hint=_MAKE_ONE
        ) from error
    except Exception as error:  # onnxruntime has an exception of its own for each kind of broken file
        line = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ModelError(f"{path} is no model that kdzoo exported ({line})", hint=_MAKE_ONE) from error
    if record.get("output", LOGITS) != LOGITS:
        raise ModelError(
            f"{path} gives {record['output']}, not classes", hint="name the model that it was exported from"
        )
    return LoadedModel(
        reference=str(path),
        architecture=record.get("architecture", "onnx"),
        model=network,
        preprocessing=look,
        num_classes=network.num_outputs,
        class_names=names if len(names) == network.num_outputs else (),
        licence=record.get("license"),
        provenance={"task": record["task"]} if "task" in record else {},
        pretrained=True,
    )
