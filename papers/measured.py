"""Accuracies that no run writes down by itself: published weights, single classes, teachers together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import DataError

if TYPE_CHECKING:
    from ..data import ImageSource
    from ..engine.evaluate import PassSettings

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
    from ..evaluation.evaluate import evaluate

    metrics = evaluate(model, spec, device=device)[0].metrics
    found = {name: metrics[name] for name in ("top1", "top5")}
    names = [name.removeprefix(_CLASS) for name in wanted if name.startswith(_CLASS)]
    if names:
        found.update(_accuracy_on_classes(model, spec, names, device))
    return found


def _accuracy_on_classes(model: str, spec: str, names: Sequence[str], device: str) -> dict[str, float]:
    from ..data import open_source
    from ..engine.evaluate import evaluate_model
    from ..zoo import load_model

    source, found = open_source(spec, "val"), {}
    with _evaluating(device) as how:
        loaded = load_model(model, pretrained=True)
        for name in names:
            metrics = evaluate_model(loaded, source, replace(how, limit=_positions(source, name)))
            found[f"{_CLASS}{name}"] = metrics["top1"]
    return found


@contextlib.contextmanager
def _evaluating(device: str) -> Iterator[PassSettings]:
    """How images are evaluated, by the processes of this run."""
    from ..engine.distributed import start_processes
    from ..engine.evaluate import PassSettings
    from ..engine.signals import StopRequest

    with StopRequest() as stop, start_processes(device) as processes:
        yield PassSettings(batch_size=_BATCH, workers=0, processes=processes, stop=stop)


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
    from ..engine.evaluate import eval_transform, evaluate_ensemble
    from ..engine.teachers import TeacherEnsemble
    from ..zoo import load_model

    source = open_source(spec, "val")
    with _evaluating(device) as how:
        models = [load_model(reference) for reference in references]
        teachers, transform = TeacherEnsemble(models, how.processes.device), eval_transform(models[0].preprocessing)
        *_, together = evaluate_ensemble(teachers, source, transform, how)
    return {name: together[name] for name in ("top1", "top5")}
