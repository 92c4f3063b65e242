"""What the verbs do, as functions: ``kdzoo.distill``, ``kdzoo.train``, ``kdzoo.evaluate``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, UsageError

if TYPE_CHECKING:
    from .data import ImageSource
    from .engine.evaluate import EvalResult
    from .engine.job import TrainResult
    from .zoo import LoadedModel, Preprocessing


def distill(
    recipe: str,
    *,
    student: str | None = None,
    teachers: Sequence[str] = (),
    data: str | None = None,
    val_data: str | None = None,
    unlabeled: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    image_size: int | None = None,
    precision: str | None = None,
    variants: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str | None = None,
    out: str | Path,
    resume: bool = False,
    trust_teacher: bool = False,
    trackers: Sequence[str] = (),
) -> TrainResult:
    """Train a student from teachers, with a recipe. What is not given is the recipe's.

    Args:
        recipe: A recipe's name, or the path of a recipe file.
        student: A model reference.
        teachers: Model references.
        data: Data spec of the training images.
        val_data: Data spec of the held-out images; by default the validation split of ``data``.
        unlabeled: Data spec of further images.
        epochs: Passes over the training images.
        batch_size: Images in a batch, all processes together.
        image_size: Side of training and evaluation crops, pixels.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        variants: Names of the recipe's variants, applied in order.
        settings: Any other settings, by dotted path: ``{"optimizer.lr": 0.02}``.
        seed: Of every random choice.
        workers: Processes that read images; no result depends on it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: The run's folder.
        resume: Go on with the run in ``out``, or start it where there is none.
        trust_teacher: Go on although a teacher does not reach the accuracy that it promises.
        trackers: ``tensorboard``, ``wandb``.

    Raises:
        UsageError: A setting is unknown, of the wrong type, or given twice.
        DataError, ModelError, TeacherError: Data or a model is missing, or they do not fit together.
        RunError, CheckpointError: The run cannot start or go on.
        Interrupted: SIGTERM or SIGINT came; everything finished so far is saved.
    """
    from .recipes.plan import Given, resolve
    from .recipes.run import run

    named = {
        "student.model": student,
        "teachers.models": tuple(teachers) or None,
        "data.dataset": data,
        "data.val_dataset": val_data,
        "data.unlabeled": unlabeled,
        "data.augmentation.image_size": image_size,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.precision": precision,
        "run.seed": seed,
        "run.workers": workers,
        "run.device": device,
    }
    given = {path: Given(value, "argument") for path, value in named.items() if value is not None}
    for path, value in (settings or {}).items():
        if path in given:
            raise UsageError(f"{path} is set twice: in settings and by its own argument", hint="leave one of them out")
        given[path] = Given(value, "settings")
    plan = resolve(recipe, given=given, variants=variants)
    return run(plan, out=out, resume=resume, trust_teacher=trust_teacher, trackers=trackers)


def train(model: str, *, recipe: str = "supervised", out: str | Path, **arguments: Any) -> TrainResult:
    """Train a model on labels: a teacher, or the baseline that a distilled student must beat.

    Args:
        model: A model reference.
        recipe: A recipe that needs no teachers.
        out: The run's folder.
        arguments: As those of `distill`.
    """
    return distill(recipe, student=model, out=out, **arguments)


@dataclass(frozen=True)
class Measured:
    """One model on one data set.

    Attributes:
        model: Its reference, pinned.
        dataset: The data spec.
        result: Top-1, top-5, loss, count.
        preprocessing: What the images went through.
    """

    model: str
    dataset: str
    result: EvalResult
    preprocessing: Preprocessing

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object: the data set, its numbers and the protocol behind them."""
        look = self.preprocessing
        protocol = {"image_size": look.image_size, "crop_pct": look.crop_pct, "interpolation": look.interpolation}
        return {"dataset": self.dataset, **self.result.to_dict(), **protocol}


def evaluate(
    models: str | Sequence[str],
    on: str | Sequence[str],
    *,
    batch_size: int = 64,
    workers: int | None = None,
    device: str = "auto",
    image_size: int | None = None,
    crop_pct: float | None = None,
    interpolation: str | None = None,
) -> list[Measured]:
    """Top-1, top-5 and loss of models on labelled data, each image exactly once.

    Args:
        models: Model references.
        on: Data specs; the validation split of each is used.
        batch_size: Images at once.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        image_size: Side of the crop in pixels, in place of the model's own.
        crop_pct: Crop over resized short side, in place of the model's own.
        interpolation: ``bilinear`` or ``bicubic``, in place of the model's own.

    Returns:
        One for each model and data set, data sets of a model together.

    Raises:
        DataError: Data is missing, unreadable, or of other classes than the model's.
        ModelError: A model cannot be built.
        Interrupted: SIGTERM or SIGINT came.
    """
    from .data import open_source
    from .engine.distributed import start_processes
    from .engine.evaluate import evaluate_model
    from .engine.signals import StopRequest
    from .zoo import load_model

    references = [models] if isinstance(models, str) else list(models)
    specs = [on] if isinstance(on, str) else list(on)
    sources = {spec: open_source(spec, "val") for spec in specs}
    measured = []
    with StopRequest() as stop:
        processes = start_processes(device)
        try:
            for reference in references:
                loaded = load_model(reference, pretrained=True, image_size=image_size)
                look = loaded.preprocessing
                look = replace(
                    look,
                    crop_pct=look.crop_pct if crop_pct is None else crop_pct,
                    interpolation=interpolation or look.interpolation,
                )
                loaded = replace(loaded, preprocessing=look)
                for spec, source in sources.items():
                    _check_classes(loaded, source)
                    result = evaluate_model(
                        loaded,
                        source,
                        batch_size=batch_size,
                        workers=min(8, os.cpu_count() or 1) if workers is None else workers,
                        processes=processes,
                        stop=stop,
                        title=f"{loaded.reference} on {spec}" if processes.is_main else None,
                    )
                    measured.append(Measured(loaded.reference, spec, result, look))
        finally:
            processes.stop()
    return measured


def _check_classes(model: LoadedModel, source: ImageSource) -> None:
    """Refuse data whose classes or class order are not the model's."""
    if model.num_classes != len(source.class_names):
        raise DataError(
            f"{model.reference} has {model.num_classes} classes, {source.name} has {len(source.class_names)}",
            hint="evaluate on data with the model's own classes",
        )
    for index, (ours, theirs) in enumerate(zip(model.class_names, source.class_names, strict=False)):
        if ours != theirs:
            raise DataError(
                f"{model.reference} has another class order than {source.name}: "
                f"class {index} is {ours!r} for the model and {theirs!r} in the data",
                hint="the class folders must be those that the model was trained on",
            )
