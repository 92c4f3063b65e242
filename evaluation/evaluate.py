"""``kdzoo eval`` as a function: open the data, load the models, measure, keep the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import DataError, UsageError
from ..base.setting_values import Colours, Deviations, check_value, default_workers

if TYPE_CHECKING:
    from ..data import ImageSource
    from ..engine.distributed import Processes
    from ..engine.evaluate import PassSettings
    from ..zoo import Preprocessing
    from .results import Predictions, Result


@dataclass(frozen=True)
class EvaluationResult:
    """One model on one data set.

    Attributes:
        model: Its reference, pinned.
        dataset: The data spec; of a gaze, the data with the people that are held out.
        preprocessing: What the images went through.
        document: Every number, with its protocol: ``document.metrics["ece"]``, ``document.per_class``,
            ``document.details``.
        predictions: The answers image by image; None of a gaze.
        path: Where the document was written, or None.
    """

    model: str
    dataset: str
    preprocessing: Preprocessing
    document: Result
    predictions: Predictions | None = None
    path: Path | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """The numbers by name: ``top1``, ``top5``, ``loss``, …; of several classes ``mAP``, ``loss``; of a gaze
        ``angular_error``, ``angular_spread``."""
        return self.document.metrics

    @property
    def difference(self) -> float | None:
        """Measured minus published top-1 (or mAP), in points; None where nothing comparable is published."""
        return None if self._published is None else self.metrics[self._decides] - self._published

    @property
    def _decides(self) -> str:
        return "mAP" if self.document.task == "multilabel" else "top1"

    @property
    def _published(self) -> float | None:
        return self.document.published.get(self._decides)

    @property
    def recorded(self) -> bool:
        """Whether the published number is the model's own run's, or card's: nobody else stated it."""
        from .classification.published import OWN_RECORD

        return bool(self.document.published) and self.document.details["published"]["source"] == OWN_RECORD

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object: the data set, its numbers, the published one beside them, and the protocol."""
        one = self.document
        if one.task == "regression":
            return {"model": self.model, "dataset": self.dataset, **one.metrics, "num_images": one.num_images}
        per_class, latency = one.per_class[0], one.details["throughput"].get("latency_ms")
        return {
            "dataset": self.dataset,
            **one.metrics,
            "num_images": one.num_images,
            "published": self._published,
            "difference": self.difference,
            "parameters": one.model.parameters,
            "macs": one.model.macs,
            "images_per_s": one.details["throughput"]["network_images_per_s"],
            **({"latency_ms": latency["median"]} if latency else {}),
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
    val_share: float | None = None,
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
) -> list[EvaluationResult]:
    """Measure models on labelled data, each image exactly once, all models in one pass over the decoded images.

    Where results are saved, an evaluation that was interrupted goes on where it was when it is called again in the same
    way.

    Args:
        models: Model references, or ONNX files that kdzoo exported: these run on the CPU.
        on: Data specs; the validation split of each is used. ``imagenetv2`` stands for its three variants. Images with
            a gaze are measured apart from classes, each model in its own preprocessing; nothing of them is kept.
        val_share: Measure the share of each class that training with it held out, of data without validation images.
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
    from ..data import open_source
    from ..data.specs import expand_spec, with_val_share
    from ..engine.distributed import start_processes
    from ..engine.evaluate import PassSettings
    from ..engine.signals import StopRequest
    from ..zoo.onnx_files import load_for_inference
    from .classification import ClassificationSettings, Overrides, evaluate_classifiers
    from .classification.own_share import held_out_spec
    from .results import results_folder, write_result

    references = [models] if isinstance(models, str) else list(models)
    named = [on] if isinstance(on, str) else on
    named = named if val_share is None else [with_val_share(spec, val_share) for spec in named]
    specs = list(dict.fromkeys(one for spec in named for one in expand_spec(spec)))
    if not references or not specs:
        raise UsageError("nothing to evaluate", hint="name at least one model and one data set")
    sizes = (image_size,) if isinstance(image_size, int) else tuple(image_size or ())
    overrides = Overrides(
        crop_pct=crop_pct,
        interpolation=interpolation,
        crops=crops,
        mean=None if mean is None else check_value(tuple(mean), Colours, "mean"),
        std=None if std is None else check_value(tuple(std), Deviations, "std"),
    )
    folder = None if results is None else Path(results).expanduser()
    with StopRequest() as stop, start_processes(device) as processes:
        how = PassSettings(batch_size=batch_size, workers=default_workers(workers), processes=processes, stop=stop)
        narrowed = dict(held_out_spec(spec, references) for spec in specs)
        sources = {spec: open_source(spec, "val") for spec in narrowed}
        if any(source.is_regression for source in sources.values()):
            views: dict[str, Any] = {"teacher": teacher, "image-size": sizes, "crop-pct": crop_pct}
            views |= {"interpolation": interpolation, "mean": mean, "std": std, "crops": crops != 1}
            kept = {"results": results, "fresh": fresh, "trust-classes": trust_classes, "classes": classes}
            _refuse_for_gaze(list(sources.values()), views, kept)
            return _evaluate_gaze(references, list(sources.values()), how)
        settings = ClassificationSettings(
            how=how,
            partial_folder=(folder or results_folder(references[0])) if save else None,
            fresh=fresh,
            trust_classes=trust_classes,
            class_order=None if classes is None else str(classes),
        )
        _prepare(sources, narrowed, processes)
        chosen = [
            overrides.apply(load_for_inference(reference, image_size=size))
            for reference in references
            for size in (sizes or (None,))
        ]
        judge = None if teacher is None else Overrides().apply(load_for_inference(teacher))
        found: dict[tuple[int, int], EvaluationResult] = {}

        def receive(model: int, source: int, document: Result, predictions: Predictions) -> None:
            reference = document.model.reference
            path = write_result(folder or results_folder(reference), document, predictions) if save else None
            look, spec = chosen[model].loaded.preprocessing, list(sources)[source]
            found[model, source] = EvaluationResult(reference, spec, look, document, predictions, path)

        evaluate_classifiers(chosen, list(sources.values()), settings, teacher=judge, receive=receive)
        return [found[key] for key in sorted(found)]


def _prepare(sources: Mapping[str, ImageSource], notes: Mapping[str, str | None], processes: Processes) -> None:
    """Refuse data without classes, and say what is to be known of the others.

    Args:
        sources: By data spec.
        notes: On each spec, or None.
        processes: The main one says it.
    """
    from ..data.pairs import require_classes
    from ..data.specs import parse_data_spec
    from ..engine.progress import say

    for spec, source in sources.items():
        require_classes(source, parse_data_spec(spec))
    if processes.is_main:
        of_data = [note for source in sources.values() for note in source.notes]
        for note in dict.fromkeys([*(note for note in notes.values() if note), *of_data]):
            say(note)


def _refuse_for_gaze(sources: Sequence[ImageSource], views: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Refuse what belongs to classes alone.

    Args:
        sources: The data.
        views: Options on what a model sees, by name.
        kept: Options on what is kept, by name.

    Raises:
        UsageError: One of them is given, or some data has classes.
    """
    if not all(source.is_regression for source in sources):
        raise UsageError("classes and gazes are measured apart", hint="give mpiigaze in a command of its own")
    for name, value in views.items():
        if value not in (None, (), False):
            raise UsageError(f"--{name} has no meaning for a gaze", hint="leave it out")
    for name, value in kept.items():
        if value:
            hint = "leave it out; --json prints all"
            raise UsageError(f"--{name}: angular errors are printed and not kept", hint=hint)


def _evaluate_gaze(
    references: Sequence[str], sources: Sequence[ImageSource], how: PassSettings
) -> list[EvaluationResult]:
    """Measure models that predict a gaze, each image exactly once, in the models' own preprocessing."""
    from ..engine.evaluate import evaluate_model
    from ..zoo import load_model
    from .results import MeasuredModel, Result

    found = []
    for reference in references:
        loaded = load_model(reference, pretrained=True)
        if loaded.class_names:
            raise DataError(
                f"{loaded.reference} knows {len(loaded.class_names)} classes, {sources[0].name} has a gaze",
                hint="evaluate a model that the recipe gaze or xcl_gaze trained",
            )
        for source in sources:
            title = f"{loaded.reference} on {source.name}" if how.processes.is_main else None
            metrics = evaluate_model(loaded, source, replace(how, title=title))
            document = Result(
                task="regression",
                dataset=source.name,
                split=source.split,
                num_images=metrics.num_images,
                model=MeasuredModel(reference=loaded.reference, architecture=loaded.architecture),
                protocol="the model's own preprocessing, each image once",
                metrics=metrics.values,
                settings=loaded.preprocessing.to_dict(),
            )
            found.append(EvaluationResult(loaded.reference, source.name, loaded.preprocessing, document))
    return found
