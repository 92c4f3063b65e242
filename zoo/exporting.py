"""Writing a model for other programs: ONNX, torch.export, plain safetensors; each checked against the model itself."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..base.errors import ModelError, UsageError
from ..base.writing import write_file
from .building import load_model, seeded
from .features import blank_conditions, network_output, takes_conditions
from .loaded import LoadedModel
from .saving import portable_weights

Format = Literal["onnx", "safetensors", "torch-export"]

TOLERANCE = 1e-4
"""Largest difference of a logit, in units of the largest logit where that is above 1."""

_SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch-export": ".pt2"}
_TRACED_BATCH = 2
_CHECKED_BATCHES = (1, 3)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One exported file.

    Attributes:
        path: The file.
        format: ``onnx``, ``safetensors`` or ``torch-export``.
        bytes: Its size.
        parameters: Of the network.
        image_size: Pixels of the square that it takes.
        batch: ``any`` where the file takes any number of images, ``none`` where it holds weights alone.
        checked_with: What read the file for the check.
        max_difference: Largest difference of a logit (of a weight, for safetensors) from the model's own.
        largest: Largest logit's size in that check; None for safetensors.
    """

    path: str
    format: str
    bytes: int
    parameters: int
    image_size: int
    batch: str
    checked_with: str
    max_difference: float
    largest: float | None


def export_model(reference: str, form: Format, out: str | Path, *, image_size: int | None = None) -> Exported:
    """Write a model's weights, or the model itself, as one file; nothing is left where the check fails.

    Args:
        reference: A model reference; a bare timm name takes timm's default weights.
        form: ``onnx`` and ``torch-export`` hold the network too, and take any number of normalised images
            (N, 3, S, S); ``safetensors`` holds the weights by their names in timm's network.
        out: The file.
        image_size: S in pixels, in place of the model's own.

    Raises:
        UsageError: An unknown format, or a file name that does not go with it.
        ModelError: A package is missing, the model's weights or outputs are not finite, it cannot be exported, or the
            file computes something else.
        RunError: The file cannot be written.
    """
    suffix, out = _SUFFIXES.get(form), Path(out).expanduser()
    if suffix is None:
        raise UsageError(f"there is no format {form!r}", hint=f"one of {', '.join(_SUFFIXES)}")
    if out.suffix != suffix:
        raise UsageError(f"{out} does not end in {suffix}", hint=f"--out {out.with_suffix(suffix)}")
    if form == "onnx":
        require_onnx()
    loaded = load_model(reference, pretrained=True, image_size=image_size)
    if takes_conditions(loaded.model) and form != "safetensors":
        raise ModelError(
            f"{reference} takes the head's pose beside the image: {form} files of one input cannot hold it",
            hint="export it with --format safetensors",
        )
    loaded.model.eval()
    _refuse_endless(loaded)
    write: Callable[[LoadedModel, Path], tuple[float, float | None, str]]
    write = {"onnx": _write_onnx, "safetensors": _write_safetensors, "torch-export": _write_torch_export}[form]
    checks: list[tuple[float, float | None, str]] = []
    write_file(out, lambda temporary: checks.append(write(loaded, temporary)))
    difference, largest, reader = checks[0]
    return Exported(
        path=str(out),
        format=form,
        bytes=out.stat().st_size,
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        image_size=loaded.preprocessing.image_size,
        batch="none" if form == "safetensors" else "any",
        checked_with=reader,
        max_difference=difference,
        largest=largest,
    )


def _refuse_endless(loaded: LoadedModel) -> None:
    """Refuse a model whose weights are finite and whose answers to noise are not: nobody could use the file.

    Raises:
        ModelError: They are not.
    """
    with torch.no_grad():
        logits = network_output(loaded.model, _images(loaded, 1), blank_conditions(loaded.model, 1))
    if not bool(torch.isfinite(logits).all()):
        count = int((~torch.isfinite(logits)).sum())
        raise ModelError(
            f"{loaded.reference} gives no finite numbers: {count} of its {logits.numel()} outputs for random images",
            hint="nothing was written: the run diverged, train again with a lower learning rate",
        )


def require_onnx() -> None:
    """Refuse where what ONNX needs is not installed.

    Raises:
        ModelError: A package is missing; says how to get it.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(f"exporting ONNX needs {', '.join(missing)}", hint="pip install 'kdzoo[onnx]'")


def export_metadata(loaded: LoadedModel) -> dict[str, str]:
    """What a program must know to use the file, as texts: preprocessing, classes, licence, origin."""
    look = loaded.preprocessing
    texts = {
        "reference": loaded.reference if "/" not in loaded.reference else Path(loaded.reference).name,
        "architecture": loaded.architecture,
        "input": "RGB images in [0, 1], normalised with mean and std, (N, 3, image_size, image_size)",
        "image_size": str(look.image_size),
        "mean": json.dumps(list(look.mean)),
        "std": json.dumps(list(look.std)),
        "interpolation": look.interpolation,
        "crop_pct": str(look.crop_pct),
        "output": "logits (N, classes)" if loaded.num_classes else "pooled features (N, width)",
    }
    if loaded.class_names:
        texts["class_names"] = json.dumps(list(loaded.class_names), ensure_ascii=False)
    if loaded.licence:
        texts["license"] = loaded.licence
    return texts


def _write_onnx(loaded: LoadedModel, path: Path) -> tuple[float, float | None, str]:
    import onnxruntime

    example = _images(loaded, _TRACED_BATCH)
    with _quiet(loaded.reference):
        program: Any = torch.onnx.export(
            loaded.model,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
        program.model.metadata_props.update({f"kdzoo.{key}": text for key, text in export_metadata(loaded).items()})
        program.save(str(path), external_data=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    return (*_compare(loaded, run, "onnxruntime"), f"onnxruntime {onnxruntime.__version__}")


def _write_torch_export(loaded: LoadedModel, path: Path) -> tuple[float, float | None, str]:
    example = _images(loaded, _TRACED_BATCH)
    with _quiet(loaded.reference):
        program = torch.export.export(
            loaded.model, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), strict=False
        )
        torch.export.save(program, path, extra_files={"kdzoo.json": json.dumps(export_metadata(loaded))})
        network = torch.export.load(path).module()
    return (*_compare(loaded, network, "torch.export.load"), f"torch.export.load {torch.__version__}")


def _write_safetensors(loaded: LoadedModel, path: Path) -> tuple[float, float | None, str]:
    weights = portable_weights(loaded.model)
    save_file(weights, path, metadata={"format": "pt", **export_metadata(loaded)})
    read = load_file(path)
    if read.keys() != weights.keys() or not all(torch.equal(read[name], weights[name]) for name in weights):
        raise ModelError(f"{path.name} does not hold the weights that were written", hint="check the disk")
    return 0.0, None, "safetensors, bit by bit"


def _images(loaded: LoadedModel, count: int) -> Tensor:
    with seeded(count):
        return torch.randn(count, *loaded.preprocessing.input_size)


def _compare(loaded: LoadedModel, run: Callable[[Tensor], Tensor], what: str) -> tuple[float, float]:
    """Largest difference of a logit and largest logit, for other batch sizes than the traced one.

    Raises:
        ModelError: The difference is above ``TOLERANCE``.
    """
    network: nn.Module = loaded.model
    worst = largest = 0.0
    with torch.no_grad():
        for count in _CHECKED_BATCHES:
            images = _images(loaded, count)
            ours, theirs = network(images), run(images)
            if theirs.shape != ours.shape:
                raise ModelError(
                    f"{what} gives {tuple(theirs.shape)} for {count} images of {loaded.reference}",
                    hint="this architecture cannot be exported for any number of images",
                )
            worst = max(worst, float((ours - theirs).abs().max()))
            largest = max(largest, float(ours.abs().max()))
    if not worst <= TOLERANCE * max(1.0, largest):
        raise ModelError(
            f"the exported {loaded.reference} is not the model: a logit differs by {worst:.3g} in {what}",
            hint="nothing was written; try --format safetensors",
        )
    return worst, largest


@contextlib.contextmanager
def _quiet(reference: str) -> Iterator[None]:
    """Exporters fail in many ways, and warn of what is no concern of the user's."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OSError, ModelError):
        raise
    except Exception as error:
        line = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ModelError(
            f"{reference} could not be exported: {line}", hint="try --format safetensors, which holds the weights alone"
        ) from error
    finally:
        logging.disable(disabled)
