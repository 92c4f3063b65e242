"""Several models on several data sets: one pass over the decoded images of each, and a result for each pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...base.errors import UsageError
from ...data import ImageSource
from ...data.contents import file_stats, sizes_digest
from ...engine.class_match import ClassMatch, match_classes, needs_order
from ...engine.evaluate import PassSettings
from ...engine.machine import processor_name
from ...engine.precision import deterministic
from ...engine.progress import say
from ...zoo.onnx_files import OnnxNetwork
from ..results import MeasuredModel, Predictions, Result, describe_model
from .one_pass import OnePass, PassResult, require_images
from .partial import PartialFile
from .protocol import EvaluatedModel, partial_words
from .summary import ModelAnswers, summarise

Receive = Callable[[int, int, Result, Predictions], None]


@dataclass(frozen=True, kw_only=True)
class ClassificationSettings:
    """How classifiers are measured; the numbers depend on none of these.

    Attributes:
        how: Batches and processes.
        partial_folder: Where to keep what is done; None to keep nothing.
        fresh: Begin anew where an interrupted evaluation was kept.
        trust_classes: Take the order of a model without class names to be the data's.
        class_order: Of the classes of a model that does not name them, or names them otherwise than the data: one of
            `ORDERS` or a file of its class names; None where nothing is said.
    """

    how: PassSettings
    partial_folder: Path | None = None
    fresh: bool = False
    trust_classes: bool = False
    class_order: str | None = None


def evaluate_classifiers(
    models: Sequence[EvaluatedModel],
    sources: Sequence[ImageSource],
    settings: ClassificationSettings,
    *,
    teacher: EvaluatedModel | None,
    receive: Receive,
) -> None:
    """Measure every model on every data set.

    Args:
        models: As they are to be measured.
        sources: Labelled images.
        settings: How.
        teacher: Whom the models are compared with; None for nobody.
        receive: Called on the main process as each is done: the positions of the model and of the data set, the
            document, the predictions.

    Raises:
        DataError: Data is unreadable, or of other classes than a model's.
        UsageError: An order of classes is given that no model needs.
        ModelError: A model's answers are not numbers.
        Interrupted: A signal came; what is done is kept.
    """
    everyone = [*models, *([] if teacher is None else [teacher])]
    matches = _match_all(everyone, sources, settings)
    described = [_describe(model) for model in everyone]
    processes = settings.how.processes
    for model in everyone:
        model.loaded.model.eval().to(processes.device).to(memory_format=torch.channels_last)
    partials = []
    with deterministic(True), torch.inference_mode():
        for number, (source, match) in enumerate(zip(sources, matches, strict=True)):
            fingerprint = source.fingerprint()
            partial = None
            if settings.partial_folder is not None:
                identity = _identity(everyone, described, match, source, settings.how, teacher=teacher is not None)
                partial = PartialFile(settings.partial_folder, identity, processes.rank)
                partials.append(partial)
                if settings.fresh and processes.is_main:
                    partial.delete_all()
            if processes.is_main:
                for note in sorted({one.note for one in match if one.note}):
                    say(note)
                fewer = partial_words(source)
                if fewer:
                    say(f"{fewer}: numbers on it are not comparable")
            how, judge = replace(settings.how, title=_title(models, source)), None if teacher is None else len(models)
            done = OnePass(source, everyone, match, how, teacher=judge, partial=partial).run()
            if done is None:
                continue
            *answers, last = map(ModelAnswers, everyone, described, match, done.answers)
            for index, one in enumerate(answers if judge is not None else [*answers, last]):
                result, predictions = summarise(
                    one,
                    source,
                    fingerprint=fingerprint,
                    throughput={**_throughput(done, index, how), **_latency(one.model)},
                    teacher=None if judge is None else last,
                )
                receive(index, number, result, predictions)
    processes.barrier()
    if processes.is_main:  # only now: the same command finds the data sets that were finished, too
        for partial in partials:
            partial.delete_all()


def _match_all(
    models: Sequence[EvaluatedModel], sources: Sequence[ImageSource], settings: ClassificationSettings
) -> list[list[ClassMatch]]:
    """Which outputs stand for which classes, for each data set and model; all refusals come before any work."""
    order, trust = settings.class_order, settings.trust_classes
    if order is not None and not any(needs_order(one.loaded, source) for one in models for source in sources):
        raise UsageError("every model names the data's classes", hint="leave --classes out")
    found = []
    for source in sources:
        require_images(source)
        found.append([match_classes(one.loaded, source, trust=trust, order=order) for one in models])
    return found


def _describe(model: EvaluatedModel) -> MeasuredModel:
    path = Path(model.loaded.reference).expanduser()
    run = str(path) if (path / "result.json").is_file() else None
    return describe_model(model.loaded, run=run)


def _identity(
    models: Sequence[EvaluatedModel],
    described: Sequence[MeasuredModel],
    matches: Sequence[ClassMatch],
    source: ImageSource,
    how: PassSettings,
    *,
    teacher: bool,
) -> dict[str, Any]:
    """Everything that the kept answers depend on."""
    identities = [
        {
            "weights": description.weights_sha256,
            "architecture": model.loaded.architecture,
            "arguments": model.loaded.model_args,
            "view": asdict(model.view),
            "look": model.loaded.preprocessing.to_dict(),
            "match": asdict(match),
        }
        for model, description, match in zip(models, described, matches, strict=True)
    ]
    return {
        "form": 2,
        "data": source.fingerprint(),
        "sizes": sizes_digest(file_stats(source)),
        "models": identities,
        "teacher": teacher,
        "batch_size": how.batch_size,
        "device": how.processes.device.type,
        "torch": torch.__version__,
    }


def _title(models: Sequence[EvaluatedModel], source: ImageSource) -> str:
    references = list(dict.fromkeys(model.loaded.reference for model in models))
    what = references[0] if len(references) == 1 else f"{len(references)} models"
    return f"{what} on {source.name}"


def _throughput(done: PassResult, index: int, how: PassSettings) -> dict[str, Any]:
    """Images/s on this machine: the network's alone, and those of the whole pass with all its models."""
    device = how.processes.device
    return {
        "network_images_per_s": done.num_timed / done.seconds[index] if done.seconds[index] > 0 else None,
        "pass_images_per_s": done.num_timed / done.wall_seconds if done.num_timed else None,
        "num_images": done.num_timed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "machine": processor_name(),
        "batch_size": how.batch_size,
        "threads": torch.get_num_threads(),
        "models_in_pass": len(done.seconds),
    }


def _latency(model: EvaluatedModel) -> dict[str, Any]:
    """Of an exported file alone: what it takes for one image on this machine."""
    network = model.loaded.model
    return {"latency_ms": network.latency()} if isinstance(network, OnnxNetwork) else {}
