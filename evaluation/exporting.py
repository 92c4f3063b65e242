"""``kdzoo export`` of a classifier: one file, checked on real images where there are any, and its int8 form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.errors import DataError, UsageError
from ..base.setting_values import default_workers
from ..data import ImageSource, open_source
from ..data.eval_views import view_batches
from ..data.pairs import open_pair
from ..data.randomness import epoch_order
from ..data.subset import SubsetSource
from ..engine.class_match import match_classes
from ..engine.signals import StopRequest
from ..engine.teachers import normalise
from ..zoo import LoadedModel, load_model
from ..zoo.exporting import CheckImages, Exported, Format, check_form, export_loaded
from ..zoo.quantisation import quantise
from .classification import Overrides
from .classification.own_share import held_out_spec
from .evaluate import EvaluationResult, evaluate

_CHECKED, _AT_ONCE = 64, 32


def export_classifier(
    reference: str,
    form: Format,
    path: Path,
    *,
    image_size: int | None = None,
    fuse: bool = True,
    data: str | None = None,
    int8: bool = False,
    calibration_images: int = 512,
    seed: int = 0,
) -> Exported:
    """Write a model's weights, or the model itself, as one file; nothing is left where the check fails.

    Arguments and errors are those of `kdzoo.export_model`; a bare timm name takes timm's default weights.
    """
    check_form(form, path)
    if int8 and (form != "onnx" or data is None):
        raise UsageError("an int8 file is ONNX, calibrated on images", hint="--format onnx --int8 --data SPEC")
    loaded = load_model(reference, pretrained=True, image_size=image_size)
    if data is None:
        return export_loaded(loaded, form, path, fuse=fuse)
    spec, _ = held_out_spec(data, [reference])
    train, val = open_pair(spec) if int8 else (None, open_source(spec, "val"))
    if train is not None:
        match_classes(loaded, val)  # refused before any work
    with StopRequest() as stop:
        made = export_loaded(loaded, form, path, fuse=fuse, images=_check_images(loaded, val, seed, stop))
        if train is None:
            return made
        chosen, small = _choose(train, calibration_images, seed), path.with_name(f"{path.stem}-int8.onnx")
        words = f"{len(chosen):,} of {len(train):,} training images of {train.name}, seed {seed}"
        quantise(path, small, _batches(loaded, train, chosen, stop), words)
    measured = evaluate([reference, str(path), str(small)], spec, image_size=image_size)
    return replace(made, int8={"path": str(small), "calibrated_on": words}, measured=_rows(measured))


def _check_images(loaded: LoadedModel, source: ImageSource, seed: int, stop: StopRequest) -> CheckImages:
    """One image by itself, and the others in batches."""
    chosen = _choose(source, _CHECKED, seed)
    first, *others = torch.cat(list(_batches(loaded, source, chosen, stop))).split(1)
    batches = [first, *(torch.cat(others).split(_AT_ONCE) if others else ())]
    return CheckImages(batches, f"{len(chosen)} of {len(source):,} held-out images of {source.name}, seed {seed}")


def _choose(source: ImageSource, count: int, seed: int) -> np.ndarray:
    """Positions of some of a source's images, in its order; of all where there are no more."""
    if len(source) == 0:
        raise DataError(f"{source.name} ({source.split}) has no image", hint="look at it with 'kdzoo data check'")
    return np.sort(epoch_order(len(source), seed, 0, "export")[:count])


def _batches(loaded: LoadedModel, source: ImageSource, ids: np.ndarray, stop: StopRequest) -> Iterator[Tensor]:
    """Some of a source's images as a model sees them, normalised."""
    view, look = Overrides().apply(loaded).view, loaded.preprocessing
    numbers, workers = range(-(-len(ids) // _AT_ONCE)), min(default_workers(), len(ids) // _AT_ONCE)
    batches = view_batches(SubsetSource(source, ids), [view], numbers, batch_size=_AT_ONCE, workers=workers)
    with contextlib.closing(batches):
        for batch in batches:
            stop.raise_if_requested("export")
            yield normalise(batch.images[0].to(torch.float32).div_(255), look.mean, look.std)


def _rows(measured: Sequence[EvaluationResult]) -> tuple[dict[str, Any], ...]:
    """What a reader compares: the model first, then its files."""
    decides = "mAP" if measured[0].document.task == "multilabel" else "top1"
    answers = [one.predictions.top5[:, 0] for one in measured if one.predictions is not None]
    return tuple(
        {
            "model": one.model,
            "bytes": Path(one.model).stat().st_size if number else None,
            decides: one.metrics[decides],
            "loss": one.metrics["loss"],
            "difference": one.metrics[decides] - measured[0].metrics[decides] if number else None,
            "same_answers": 100 * float((mine == answers[0]).mean()) if number else None,
            "num_images": one.document.num_images,
            "latency_ms": one.document.details["throughput"].get("latency_ms"),
        }
        for number, (one, mine) in enumerate(zip(measured, answers, strict=True))
    )
