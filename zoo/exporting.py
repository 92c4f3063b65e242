"""Writing a model for other programs: ONNX, torch.export, plain safetensors; each checked against the model itself."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from timm.models import reparameterize_model
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..base.errors import KdzooError, ModelError, UsageError
from ..base.writing import write_file
from .building import seeded
from .features import blank_conditions, network_output, takes_conditions
from .loaded import LoadedModel
from .onnx_files import LOGITS, RECORD, OnnxNetwork, require_onnx
from .saving import portable_weights

Format = Literal["onnx", "safetensors", "torch-export", "detectron2", "mmseg"]
"""The last two are of a detector and of a segmentor."""

TOLERANCE = 1e-4
"""Largest difference of a logit, in units of the largest logit where that is above 1."""

_SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch-export": ".pt2"}
_OF_ONE_SIZE = ("image_size", "image_width", "crop_pct", "interpolation")
_TRACED_BATCH = 2
_CHECKED_BATCHES = (1, 3)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One exported file.

    Attributes:
        path: The file.
        format: ``onnx``, ``safetensors`` or ``torch-export``; of a detector or segmentor also its framework's name,
            and the file a folder.
        bytes: Its size.
        parameters: Of the network, as it was trained.
        image_size: Pixels of the square that it takes; None for images of any size.
        batch: ``any`` where the file takes any number of images, ``one`` for one at a time, ``none`` where it holds
            weights alone.
        fused: What became of reparametrised blocks, in words; empty where there are none, or they were left as trained.
        checked_with: What read the file for the check.
        checked_on: The images of the check, in words.
        max_difference: Largest difference of a logit (of a weight, for safetensors) from the model's own, unfused.
        largest: Largest logit's size in that check; None for safetensors.
        int8: The int8 file beside it, and on which images it was calibrated; None where none was asked for.
        measured: The model, the file and the int8 file on the held-out images, a row each; where int8 was asked for.
    """

    path: str
    format: str
    bytes: int
    parameters: int
    image_size: int | None
    batch: str
    fused: str
    checked_with: str
    checked_on: str
    max_difference: float
    largest: float | None
    int8: dict[str, str] | None = None
    measured: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class CheckImages:
    """Normalised images on which a file is held against the model.

    Attributes:
        batches: (N, channels, height, width) each; of several sizes that the file was not traced with.
        words: What they are.
    """

    batches: Sequence[Tensor]
    words: str


def check_form(form: str, out: Path) -> None:
    """Refuse what no model could be exported to.

    Raises:
        UsageError: An unknown format, or a file name that does not go with it.
        ModelError: A package is missing.
    """
    suffix = _SUFFIXES.get(form)
    if suffix is None:
        raise UsageError(f"there is no format {form!r}", hint=f"one of {', '.join(_SUFFIXES)}")
    if out.suffix != suffix:
        raise UsageError(f"{out} does not end in {suffix}", hint=f"--out {out.with_suffix(suffix)}")
    if form == "onnx":
        require_onnx()


def export_loaded(
    loaded: LoadedModel,
    form: Format,
    out: Path,
    *,
    fuse: bool = True,
    images: CheckImages | None = None,
    any_size: Mapping[str, str] | None = None,
) -> Exported:
    """Write a model's weights, or the model itself, as one file; nothing is left where the check fails.

    Args:
        loaded: The model; it is not changed but for its mode.
        form: ``onnx`` and ``torch-export`` hold the network too, and take any number of normalised images
            (N, 3, S, S); ``safetensors`` holds the weights by their names in timm's network.
        out: The file.
        fuse: Whether blocks that were reparametrised for training go out as the single layers that they amount to.
        images: Of the check; random ones by default.
        any_size: Of a network for images of any height and width: what its record says of them and of the output.

    Raises:
        UsageError, ModelError: As `check_form`; or the model's weights or outputs are not finite, it cannot be
            exported, or the file computes something else.
        RunError: The file cannot be written.
    """
    check_form(form, out)
    if takes_conditions(loaded.model) and form != "safetensors":
        raise ModelError(
            f"{loaded.reference} takes the head's pose beside the image: {form} files of one input cannot hold it",
            hint="export it with --format safetensors",
        )
    loaded.model.eval()
    _refuse_endless(loaded)
    network, fused = fuse_blocks(loaded.model) if fuse and form != "safetensors" else (loaded.model, "")
    images = images or CheckImages([random_images(loaded, count) for count in _CHECKED_BATCHES], "random images")
    record = {**export_metadata(loaded), **({"fused": fused} if fused else {})}
    if any_size is not None:
        record = {name: text for name, text in record.items() if name not in _OF_ONE_SIZE} | dict(any_size)
    write = {"onnx": _write_onnx, "safetensors": _write_safetensors, "torch-export": _write_torch_export}[form]
    checks: list[tuple[float, float | None, str]] = []
    write_file(out, lambda new: checks.append(write(_Work(loaded, network, images, record, new, any_size is not None))))
    difference, largest, reader = checks[0]
    return Exported(
        path=str(out),
        format=form,
        bytes=out.stat().st_size,
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        image_size=loaded.preprocessing.image_size if any_size is None else None,
        batch="none" if form == "safetensors" else "any",
        fused=fused,
        checked_with=reader,
        checked_on="every weight" if form == "safetensors" else images.words,
        max_difference=difference,
        largest=largest,
    )


def fuse_blocks(model: nn.Module) -> tuple[nn.Module, str]:
    """A copy whose reparametrised blocks (RepVGG, MobileOne, FastViT, RepViT, LeViT, …) are single layers, and what
    changed, in words; the model itself and no words where it has no such block.

    timm's own, by the blocks' ``fuse``, ``reparameterize`` or ``switch_to_deploy``.
    """
    before = _count_layers(model)
    copy = reparameterize_model(model).eval()
    after = _count_layers(copy)
    if before == after:
        return model, ""
    words = "{} convolutions and {} BatchNorms became {} and {}".format(*before, *after)
    return copy, words


def _count_layers(model: nn.Module) -> tuple[int, int]:
    layers = [(isinstance(one, nn.Conv2d), isinstance(one, _BatchNorm)) for one in model.modules()]
    convolutions, norms = zip(*layers, strict=True)
    return sum(convolutions), sum(norms)


def _refuse_endless(loaded: LoadedModel) -> None:
    """Refuse a model whose weights are finite and whose answers to noise are not: nobody could use the file.

    Raises:
        ModelError: They are not.
    """
    with torch.no_grad():
        logits = network_output(loaded.model, random_images(loaded, 1), blank_conditions(loaded.model, 1))
    if not bool(torch.isfinite(logits).all()):
        count = int((~torch.isfinite(logits)).sum())
        raise ModelError(
            f"{loaded.reference} gives no finite numbers: {count} of its {logits.numel()} outputs for random images",
            hint="nothing was written: the run diverged, train again with a lower learning rate",
        )


def export_metadata(loaded: LoadedModel) -> dict[str, str]:
    """What a program must know to use the file, as texts: preprocessing, classes, licence, origin."""
    look = loaded.preprocessing
    texts = {
        "reference": loaded.reference if "/" not in loaded.reference else Path(loaded.reference).name,
        "architecture": loaded.architecture,
        "parameters": str(sum(parameter.numel() for parameter in loaded.model.parameters())),
        "input": f"RGB images in [0, 1], normalised with mean and std, {('N', *look.input_size)}".replace("'", ""),
        "mean": json.dumps(list(look.mean)),
        "std": json.dumps(list(look.std)),
        "output": LOGITS if loaded.num_classes else "pooled features (N, width)",
    }
    texts |= {name: str(value) for name, value in look.to_dict().items() if name not in texts}
    task = loaded.provenance.get("task")
    if task == "regression":
        texts["output"] = "numbers"
    if task == "multilabel":
        texts |= {"task": task, "probabilities": "sigmoid: an image may show several classes"}
    if loaded.class_names:
        texts["class_names"] = json.dumps(list(loaded.class_names), ensure_ascii=False)
    if loaded.licence:
        texts["license"] = loaded.licence
    return texts


@dataclass(frozen=True)
class _Work:
    """What a writer of one format needs.

    Attributes:
        loaded: The model, which the file must agree with.
        network: What is written: the model's own network, or a fused copy.
        images: Of the check.
        record: What the file shall say.
        path: The file.
        any_size: Whether height and width are free, too.
    """

    loaded: LoadedModel
    network: nn.Module
    images: CheckImages
    record: dict[str, str]
    path: Path
    any_size: bool

    def traced(self, height: Any, width: Any) -> dict[str, Any]:
        """The exporters' example of an input, and which of its sides is free; these two where any size is taken."""
        free = {0: torch.export.Dim("batch", min=1), **({2: height, 3: width} if self.any_size else {})}
        return {"args": (random_images(self.loaded, _TRACED_BATCH),), "dynamic_shapes": (free,)}


def _write_onnx(work: _Work) -> tuple[float, float | None, str]:
    import onnxruntime

    sides = torch.export.Dim("height", min=1), torch.export.Dim("width", min=1)
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    with exporter_errors(work.loaded.reference):
        program: Any = torch.onnx.export(work.network, dynamo=True, verbose=False, **names, **work.traced(*sides))
        program.model.metadata_props.update({RECORD + key: text for key, text in work.record.items()})
        program.save(str(work.path), external_data=False)
        network = OnnxNetwork(work.path)
    return (*_compare(work, network, "onnxruntime"), f"onnxruntime {onnxruntime.__version__}")


def _write_torch_export(work: _Work) -> tuple[float, float | None, str]:
    found = torch.export.Dim.DYNAMIC  # from which size on is the network's own: maps of one pixel are pooled otherwise
    with exporter_errors(work.loaded.reference):
        program = torch.export.export(work.network, **work.traced(found, found), strict=False)
        torch.export.save(program, work.path, extra_files={"kdzoo.json": json.dumps(work.record)})
        network = torch.export.load(work.path).module()
    return (*_compare(work, network, "torch.export.load"), f"torch.export.load {torch.__version__}")


def _write_safetensors(work: _Work) -> tuple[float, float | None, str]:
    weights = portable_weights(work.network)
    save_file(weights, work.path, metadata={"format": "pt", **work.record})
    read = load_file(work.path)
    if read.keys() != weights.keys() or not all(torch.equal(read[name], weights[name]) for name in weights):
        raise ModelError(f"{work.path.name} does not hold the weights that were written", hint="check the disk")
    return 0.0, None, "safetensors, bit by bit"


def random_images(loaded: LoadedModel, count: int) -> Tensor:
    """Noise of the size that a model takes, the same for the same count."""
    with seeded(count):
        return torch.randn(count, *loaded.preprocessing.input_size)


def _compare(work: _Work, run: Callable[[Tensor], Tensor], what: str) -> tuple[float, float]:
    """Largest difference of a logit from the model's own, and largest logit.

    Raises:
        ModelError: The difference is above ``TOLERANCE``.
    """
    reference, worst, largest = work.loaded.reference, 0.0, 0.0
    with torch.no_grad():
        for images in work.images.batches:
            ours, theirs = work.loaded.model(images), run(images)
            if theirs.shape != ours.shape:
                raise ModelError(
                    f"{what} gives {tuple(theirs.shape)} for {len(images)} images of {reference}",
                    hint="this architecture cannot be exported for any number of images",
                )
            worst = max(worst, float((ours - theirs).abs().max()))
            largest = max(largest, float(ours.abs().max()))
    if not worst <= TOLERANCE * max(1.0, largest):
        unfused = "--no-fuse or " if work.network is not work.loaded.model else ""
        raise ModelError(
            f"the exported {reference} is not the model: a logit differs by {worst:.3g} in {what}",
            hint=f"nothing was written; try {unfused}--format safetensors",
        )
    return worst, largest


@contextlib.contextmanager
def exporter_errors(reference: str) -> Iterator[None]:
    """One clear line for each way in which an exporter fails, and none of its warnings, which do not concern the user.

    Raises:
        ModelError: The body failed.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OSError, KdzooError):
        raise
    except Exception as error:
        line = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ModelError(
            f"{reference} could not be exported: {line}", hint="try --format safetensors, which holds the weights alone"
        ) from error
    finally:
        logging.disable(disabled)
