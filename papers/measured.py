"""Accuracies that no run writes down by itself: published weights, single classes, teachers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.errors import DataError

if TYPE_CHECKING:
    from ..data import ImageSource

_BATCH = 64
_CLASS = "class:"


def evaluate_published(model: str, spec: str, wanted: Sequence[str], device: str) -> dict[str, float]:
    """Top-1 and top-5 of weights, and the accuracy on single classes where asked for, percent.

    Args:
        model: A reference.
        spec: Data spec; its validation split.
        wanted: ``class:NAME`` for a class; others are given anyway.
        device: As everywhere.

    Raises:
        DataError, ModelError: Data or weights are missing, or their classes differ.
        Interrupted: A signal came.
    """
    from ..evaluation.measuring import evaluate

    result = evaluate(model, spec, device=device)[0].to_dict()
    found = {"top1": float(result["top1"]), "top5": float(result["top5"])}
    names = [name.removeprefix(_CLASS) for name in wanted if name.startswith(_CLASS)]
    if names:
        found.update(_of_classes(model, spec, names, device))
    return found


def _of_classes(model: str, spec: str, names: Sequence[str], device: str) -> dict[str, float]:
    from ..data import open_source
    from ..engine.distributed import start_processes
    from ..engine.evaluate import evaluate_model
    from ..engine.signals import StopRequest
    from ..zoo import load_model

    source, found = open_source(spec, "val"), {}
    with StopRequest() as stop:
        processes = start_processes(device)
        try:
            loaded = load_model(model, pretrained=True)
            for name in names:
                result = evaluate_model(
                    loaded,
                    source,
                    batch_size=_BATCH,
                    workers=0,
                    processes=processes,
                    limit=_positions(source, name),
                    stop=stop,
                )
                found[f"{_CLASS}{name}"] = result.top1
        finally:
            processes.stop()
    return found


def _positions(source: ImageSource, name: str) -> list[int]:
    """Where the images of a class stand.

    Raises:
        DataError: The data has no such class.
    """
    if name not in source.class_names:
        raise DataError(f"{source.name} has no class {name}", hint="the table is about ImageNet's classes")
    label = source.class_names.index(name)
    return [index for index, own in enumerate(source.labels.tolist()) if own == label]


def teachers_together(references: Sequence[str], spec: str, device: str) -> dict[str, float]:
    """Top-1 and top-5 of the mean of the teachers' probabilities on the validation images, percent.

    Raises:
        DataError, ModelError: Data or weights are missing.
        Interrupted: A signal came.
    """
    from ..data import open_source
    from ..engine.distributed import start_processes
    from ..engine.evaluate import eval_transform, evaluate_ensemble
    from ..engine.signals import StopRequest
    from ..engine.teachers import TeacherEnsemble
    from ..zoo import load_model

    source = open_source(spec, "val")
    with StopRequest() as stop:
        processes = start_processes(device)
        try:
            models = [load_model(reference) for reference in references]
            *_, together = evaluate_ensemble(
                TeacherEnsemble(models, processes.device),
                source,
                eval_transform(models[0].preprocessing),
                batch_size=_BATCH,
                workers=0,
                processes=processes,
                stop=stop,
            )
        finally:
            processes.stop()
    return {"top1": together.top1, "top5": together.top5}
