"""Several models on several data sets: one pass over the decoded images of each, and a result for each pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...base.errors import UsageError
from ...data import ImageSource
from ...data.contents import file_stats, sizes_digest
from ...engine.class_match import ClassMatch, match_classes, needs_order
from ...engine.distributed import Processes
from ...engine.machine import processor_name
from ...engine.precision import deterministic
from ...engine.progress import say
from ...engine.signals import StopRequest
from ...zoo import LoadedModel, Preprocessing
from ..results import MeasuredModel, Predictions, Result, describe_model
from .one_pass import Contender, OnePass, PassResult, require_images
from .partial import PartialFile
from .protocol import Overrides, partial_words
from .published import find_published
from .summary import summarise

Receive = Callable[[int, int, Preprocessing, Result, Predictions], None]


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """How to measure; the numbers depend on none of these but the overrides.

    Attributes:
        overrides: In place of each model's own preprocessing.
        batch_size: Images at once.
        workers: Processes that read images.
        partial_folder: Where to keep what is done; None to keep nothing.
        fresh: Begin anew where an interrupted evaluation was kept.
        trust_classes: Take the order of a model without class names to be the data's.
        class_order: Of the classes of a model that does not name them, or names them otherwise than the data: one of
            `ORDERS` or a file of its class names; None where nothing is said.
    """

    overrides: Overrides
    batch_size: int
    workers: int
    partial_folder: Path | None
    fresh: bool = False
    trust_classes: bool = False
    class_order: str | None = None


def measure_classification(
    models: Sequence[LoadedModel],
    sources: Sequence[ImageSource],
    settings: MeasureSettings,
    *,
    teacher: LoadedModel | None,
    processes: Processes,
    stop: StopRequest,
    receive: Receive,
) -> None:
    """Measure every model on every data set.

    Args:
        models: At the image sizes that they are to be measured at.
        sources: Labelled images.
        settings: How.
        teacher: Whom the models are compared with, at its own preprocessing; None for nobody.
        processes: Who takes which images.
        stop: Asked between batches.
        receive: Called on the main process as each is done: the positions of the model and of the data set, what the
            images went through, the document, the predictions.

    Raises:
        DataError: Data is unreadable, or of other classes than a model's.
        UsageError: An order of classes is given that no model needs.
        ModelError: A model's answers are not numbers.
        Interrupted: A signal came; what is done is kept.
    """
    contenders = [settings.overrides.apply(model) for model in models]
    if teacher is not None:
        contenders.append(Overrides().apply(teacher))
    matches = []
    order = settings.class_order
    if order is not None and not any(needs_order(one.loaded, source) for one in contenders for source in sources):
        raise UsageError("every model names the data's classes", hint="leave --classes out")
    for source in sources:  # before any work: all refusals
        require_images(source)
        trust = settings.trust_classes
        matches.append([match_classes(one.loaded, source, trust=trust, order=order) for one in contenders])
    described = [_describe(contender) for contender in contenders]
    for contender in contenders:
        contender.loaded.model.eval().to(processes.device).to(memory_format=torch.channels_last)
    partials = []
    with deterministic(True), torch.inference_mode():
        for number, (source, match) in enumerate(zip(sources, matches, strict=True)):
            fingerprint = source.fingerprint()
            partial = None
            if settings.partial_folder is not None:
                identity = _identity(contenders, described, match, source, settings, teacher, processes)
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
            done = OnePass(
                source,
                contenders,
                match,
                teacher=None if teacher is None else len(models),
                batch_size=settings.batch_size,
                workers=settings.workers,
                processes=processes,
                stop=stop,
                partial=partial,
                title=_title(models, source),
            ).run()
            if done is None:
                continue
            judge = None if teacher is None else (described[-1], done.answers[-1])
            for index, model in enumerate(models):
                result, predictions = summarise(
                    contenders[index],
                    source,
                    match[index],
                    done.answers[index],
                    model=described[index],
                    fingerprint=fingerprint,
                    published=find_published(contenders[index], model, source),
                    throughput=_throughput(done, index, processes, settings.batch_size),
                    teacher=judge,
                )
                receive(index, number, contenders[index].loaded.preprocessing, result, predictions)
    processes.barrier()
    if processes.is_main:  # only now: the same command finds the data sets that were finished, too
        for partial in partials:
            partial.delete_all()


def _describe(contender: Contender) -> MeasuredModel:
    path = Path(contender.loaded.reference).expanduser()
    run = str(path) if (path / "result.json").is_file() else None
    return describe_model(contender.loaded, run=run)


def _identity(
    contenders: Sequence[Contender],
    described: Sequence[MeasuredModel],
    matches: Sequence[ClassMatch],
    source: ImageSource,
    settings: MeasureSettings,
    teacher: LoadedModel | None,
    processes: Processes,
) -> dict[str, Any]:
    """Everything that the kept answers depend on."""
    models = [
        {
            "weights": model.weights_sha256,
            "architecture": contender.loaded.architecture,
            "arguments": contender.loaded.model_args,
            "view": asdict(contender.view),
            "look": contender.loaded.preprocessing.to_dict(),
            "match": asdict(match),
        }
        for contender, model, match in zip(contenders, described, matches, strict=True)
    ]
    return {
        "form": 2,
        "data": source.fingerprint(),
        "sizes": sizes_digest(file_stats(source)),
        "models": models,
        "teacher": teacher is not None,
        "batch_size": settings.batch_size,
        "device": processes.device.type,
        "torch": torch.__version__,
    }


def _title(models: Sequence[LoadedModel], source: ImageSource) -> str:
    references = list(dict.fromkeys(model.reference for model in models))
    what = references[0] if len(references) == 1 else f"{len(references)} models"
    return f"{what} on {source.name}"


def _throughput(done: PassResult, index: int, processes: Processes, batch_size: int) -> dict[str, Any]:
    """Images/s on this machine: the network's alone, and those of the whole pass with all its models."""
    device = processes.device
    return {
        "network_images_per_s": done.num_timed / done.seconds[index] if done.seconds[index] > 0 else None,
        "pass_images_per_s": done.num_timed / done.wall_seconds if done.num_timed else None,
        "num_images": done.num_timed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "machine": processor_name(),
        "batch_size": batch_size,
        "threads": torch.get_num_threads(),
        "models_in_pass": len(done.seconds),
    }
