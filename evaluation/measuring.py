"""``kdzoo eval`` as a function: open the data, load the models, measure, keep the results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import UsageError
from ..base.setting_values import Colours, Deviations, check_value

if TYPE_CHECKING:
    from ..base.metrics import Metrics
    from ..zoo import Preprocessing
    from .results import Predictions, Result


@dataclass(frozen=True)
class Measured:
    """One model on one data set.

    Attributes:
        model: Its reference, pinned.
        dataset: The data spec.
        result: Top-1, top-5, loss, count.
        preprocessing: What the images went through.
        document: Every number, with its protocol: ``document.metrics["ece"]``, ``document.per_class``,
            ``document.details``.
        predictions: The answers image by image.
        path: Where the document was written, or None.
    """

    model: str
    dataset: str
    result: Metrics
    preprocessing: Preprocessing
    document: Result
    predictions: Predictions
    path: Path | None = None

    @property
    def difference(self) -> float | None:
        """Measured minus published top-1, in points; None where nothing comparable is published."""
        published = self.document.published.get("top1")
        return None if published is None else self.result["top1"] - published

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object: the data set, its numbers, the published one beside them, and the protocol."""
        one = self.document
        per_class = one.per_class[0]
        return {
            "dataset": self.dataset,
            **one.metrics,
            "num_images": one.num_images,
            "published": one.published.get("top1"),
            "difference": self.difference,
            "parameters": one.model.parameters,
            "macs": one.model.macs,
            "images_per_s": one.details["throughput"]["network_images_per_s"],
            "protocol": one.protocol,
            **{name: value for name, value in one.settings.items() if name != "num_classes"},
            "per_class": dict(zip(per_class.names, per_class.values, strict=True)),
            "details": dict(one.details),
            "saved": None if self.path is None else str(self.path),
        }


def evaluate(
    models: str | Sequence[str],
    on: str | Sequence[str],
    *,
    teacher: str | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    device: str = "auto",
    image_size: int | Sequence[int] | None = None,
    crop_pct: float | None = None,
    interpolation: str | None = None,
    crops: int = 1,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    results: str | Path | None = None,
    save: bool = False,
    fresh: bool = False,
    trust_classes: bool = False,
    classes: str | Path | None = None,
) -> list[Measured]:
    """Measure models on labelled data, each image exactly once, all models in one pass over the decoded images.

    Where results are saved, an evaluation that was interrupted goes on where it was when it is called again in the same
    way.

    Args:
        models: Model references.
        on: Data specs; the validation split of each is used. ``imagenetv2`` stands for its three variants.
        teacher: A model reference; the models' answers are compared with its answers.
        batch_size: Images at once.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        image_size: Side of the crop in pixels, in place of the model's own; several give a result each.
        crop_pct: Crop over resized short side, in place of the model's own.
        interpolation: ``bilinear``, ``bicubic`` or ``opencv-bilinear``, in place of the model's own.
        crops: 1, 5 (centre and corners) or 10 (and their mirror images); their probabilities are averaged.
        mean: Per channel, of images in [0, 1], in place of the model's own.
        std: Per channel, in place of the model's own.
        results: Folder of the results. By default ``RUN/results`` for a run's model, else ``$KDZOO_RESULTS``, else
            ``results``.
        save: Whether to write a document and the predictions there for ``kdzoo.evaluation.results``, ``kdzoo report``
            and ``kdzoo publish`` to read; ``kdzoo eval`` does.
        fresh: Begin anew where an interrupted evaluation was kept.
        trust_classes: Take the class order of a model that does not name its classes to be the data's.
        classes: The order of the classes of a model that does not name them, or names them otherwise than the data:
            ``natural`` (as timm sorts folders), ``string`` (as torchvision), or a text file of its class names.

    Returns:
        One for each model, image size and data set, those of a model together; on the main process alone where there
        are several.

    Raises:
        DataError: Data is missing, unreadable, or of other classes than the model's.
        ModelError: A model cannot be built.
        RunError: The results cannot be written.
        UsageError: The preprocessing makes no sense.
        Interrupted: SIGTERM or SIGINT came; what was measured so far is kept.
    """
    from ..base.metrics import TOP1, Metrics
    from ..data import open_source
    from ..data.pairs import require_classes
    from ..data.specs import expand_spec, parse_data_spec
    from ..engine.distributed import start_processes
    from ..engine.progress import say
    from ..engine.signals import StopRequest
    from ..zoo import load_model
    from .classification import MeasureSettings, Overrides, measure_classification
    from .classification.own_share import held_out_spec
    from .results import results_folder, write_result

    references = [models] if isinstance(models, str) else list(models)
    specs = list(dict.fromkeys(one for spec in ([on] if isinstance(on, str) else on) for one in expand_spec(spec)))
    if not references or not specs:
        raise UsageError("nothing to evaluate", hint="name at least one model and one data set")
    sizes = (image_size,) if isinstance(image_size, int) else tuple(image_size or ())
    overrides = Overrides(
        image_sizes=sizes,
        crop_pct=crop_pct,
        interpolation=interpolation,
        crops=crops,
        mean=None if mean is None else check_value(tuple(mean), Colours, "mean"),
        std=None if std is None else check_value(tuple(std), Deviations, "std"),
    )

    def folder_of(reference: str) -> Path:
        return results_folder(reference) if results is None else Path(results).expanduser()

    measured: dict[tuple[int, int], Measured] = {}

    def receive(model: int, source: int, look: Preprocessing, document: Result, predictions: Predictions) -> None:
        reference, numbers = document.model.reference, document.metrics
        path = write_result(folder_of(reference), document, predictions) if save else None
        result = Metrics(TOP1, {name: numbers[name] for name in TOP1.names}, document.num_images)
        measured[model, source] = Measured(reference, specs[source], result, look, document, predictions, path)

    with StopRequest() as stop:
        processes = start_processes(device)
        try:
            chosen = [held_out_spec(spec, references) for spec in specs]
            specs = [spec for spec, _ in chosen]
            sources = [open_source(spec, "val") for spec in specs]
            for spec, source in zip(specs, sources, strict=True):
                require_classes(source, parse_data_spec(spec))
            if processes.is_main:
                for note in dict.fromkeys(
                    [*(note for _, note in chosen if note), *(n for s in sources for n in s.notes)]
                ):
                    say(note)
            loaded = [
                load_model(reference, pretrained=True, image_size=size)
                for reference in references
                for size in (sizes or (None,))
            ]
            settings = MeasureSettings(
                overrides=overrides,
                batch_size=batch_size,
                workers=min(8, os.cpu_count() or 1) if workers is None else workers,
                partial_folder=folder_of(references[0]) if save else None,
                fresh=fresh,
                trust_classes=trust_classes,
                class_order=None if classes is None else str(classes),
            )
            measure_classification(
                loaded,
                sources,
                settings,
                teacher=None if teacher is None else load_model(teacher, pretrained=True),
                processes=processes,
                stop=stop,
                receive=receive,
            )
        finally:
            processes.stop()
    return [measured[key] for key in sorted(measured)]
