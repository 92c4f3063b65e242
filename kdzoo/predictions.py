"""``kdzoo predict`` as functions: what a classifier, a detector or a segmentor sees in images without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .base.errors import UsageError
from .base.run_documents import read_fixed
from .base.suggestions import nearest_names

if TYPE_CHECKING:
    import torch

    from .evaluation.prediction.classifier import Classifier
    from .evaluation.prediction.files import Prediction, WrittenPredictions
    from .evaluation.prediction.images import ImageFile
    from .evaluation.prediction.predict import PredictSettings
    from .transfer.dense.predict import Predictor

DRAWN_IMAGES = 20
"""So many are drawn where it is not said."""


class PredictArguments(TypedDict, total=False):
    """How images are looked at.

    Attributes:
        top_k: Of a classifier: classes an image, the likeliest first; 5 by default.
        embeddings: Of a classifier: whether the features before it are given too.
        image_size: Of a classifier: side of the crop in pixels, in place of the model's own.
        batch_size: Of a classifier: images at once; 64 by default.
        score_threshold: Boxes below this score are left out, the run's own, 0.05, by default; of a classifier: classes
            below this probability, none by default.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; an ONNX file is run on the CPU.
    """

    top_k: int
    embeddings: bool
    image_size: int | None
    batch_size: int
    score_threshold: float | None
    workers: int | None
    device: str


_OF_CLASSIFIERS = ("top_k", "embeddings", "image_size", "batch_size")


def predict(model: str, paths: str | Sequence[str], **how: Unpack[PredictArguments]) -> Iterator[Prediction]:
    """What a model sees in images, one answer at a time, in their order; memory does not grow with their number.

    Args:
        model: A model reference, the path of an ONNX file that kdzoo exported, or the run of a detector or segmentor
            (or the measurement's folder, for its backbone's first run), whose answers have ``boxes`` or ``labels``.
        paths: Images, and folders of images; ``PATH@exif=apply`` turns images upright.
        how: ``top_k``, ``score_threshold``, ``device`` and the others of `PredictArguments`.

    Raises:
        DataError: There are no images. (One that cannot be read is an answer with its ``error``.)
        ModelError, CheckpointError: A model cannot be built, its weights are damaged, or it names no classes.
        UsageError: An argument is not of this kind of model; an ONNX file has one image size and no embeddings.
        Interrupted: SIGTERM or SIGINT came.
    """
    from .evaluation.prediction.images import find_images

    run = dense_run(model)
    asked = _arguments(how, run is not None)
    images = find_images(_listed(paths))
    if run is None:
        from .evaluation.prediction.predict import predict_images

        yield from predict_images(*_classifier(model, images, asked))
        return
    from .transfer.dense.predict import predict_dense

    predictor, device = _dense(run, asked)
    yield from predict_dense(predictor, images, device=device, workers=asked.get("workers"))


def predict_to_file(
    model: str,
    paths: str | Sequence[str],
    out: str | Path,
    *,
    drawn: str | Path | None = None,
    drawn_images: int = DRAWN_IMAGES,
    **how: Unpack[PredictArguments],
) -> WrittenPredictions:
    """As `predict`, with the answers in a file or folder; one that was interrupted goes on when it is called again.

    Args:
        out: The file; its end decides its form: ``.csv``, ``.jsonl``, ``.parquet``. Of a segmentor a folder, which gets
            a PNG of class numbers an image.
        drawn: Of a detector or segmentor: a folder for pictures with the boxes, or the classes' colours, in them.
        drawn_images: The first so many images are drawn.
        model, paths, how: As those of `predict`.

    Raises:
        KdzooError: As `predict`; UsageError where ``out`` or ``drawn`` is no place for it, RunError where it cannot be
            written.
    """
    from .evaluation.prediction.files import check_form
    from .evaluation.prediction.images import find_images

    run, place = dense_run(model), Path(out).expanduser()
    asked = _arguments(how, run is not None)
    if run is None:
        from .evaluation.prediction.predict import predict_to_file as classes_to_file

        if drawn is not None:
            raise UsageError("pictures are drawn of boxes and masks, not of classes", hint="leave --drawn out")
        check_form(place)
        classifier, images, settings = _classifier(model, find_images(_listed(paths)), asked)
        return classes_to_file(classifier, images, place, settings)
    from .transfer.dense.predict import Pictures, predict_dense_to_file, refuse_inside

    pictures = None if drawn is None else Pictures(folder=Path(drawn).expanduser(), count=drawn_images)
    refuse_inside(place, _listed(paths), "--out")
    if pictures is not None:
        refuse_inside(pictures.folder, _listed(paths), "--drawn")
    images = find_images(_listed(paths))
    predictor, device = _dense(run, asked)
    return predict_dense_to_file(
        predictor, images, place, device=device, workers=asked.get("workers"), pictures=pictures
    )


def _classifier(
    model: str, images: list[ImageFile], asked: dict[str, Any]
) -> tuple[Classifier, list[ImageFile], PredictSettings]:
    """The classifier, the images, and how it looks at them."""
    from .evaluation.prediction.classifier import open_classifier
    from .evaluation.prediction.predict import PredictSettings

    opening = {name: asked.pop(name) for name in ("device", "image_size") if name in asked}
    settings = PredictSettings(**asked)
    return open_classifier(model, **opening, embeddings=settings.embeddings), images, settings


def _dense(run: Path, asked: dict[str, Any]) -> tuple[Predictor, torch.device]:
    """The detector or segmentor of a run, and where it computes."""
    from .engine.distributed import choose_device
    from .measurements import dense_room
    from .transfer.dense.trained import read_trained

    trained = read_trained(run)
    predictor = dense_room(trained.kind).open_predictor(trained, asked.get("score_threshold"))
    return predictor, choose_device(asked.get("device", "auto"))


def dense_run(model: str) -> Path | None:
    """The run of a detector or segmentor, or its checkpoint, that a reference names; None for any other model."""
    try:
        path = Path(model).expanduser()
        first = min(path.glob("backbone-seed*/config.json"), key=lambda one: (len(str(one)), one), default=None)
        named = path if first is None else first.parent
        fixed = read_fixed((named.parent.parent if named.is_file() else named) / "config.json")
    except (OSError, ValueError, RuntimeError):  # a home of nobody, a name that no path can have
        return None
    return named if {"engine", "reference", "val"} <= set(fixed) else None


def _listed(paths: str | Sequence[str]) -> Sequence[str]:
    return [paths] if isinstance(paths, str) else paths


def _arguments(how: PredictArguments, dense: bool) -> dict[str, Any]:
    """Those that were given.

    Raises:
        UsageError: One is of another kind of model, or there is no such argument.
    """
    known = PredictArguments.__annotations__
    for name in how:
        if name not in known:
            near = nearest_names(name, sorted(known), most=1)
            raise UsageError(f"there is no argument {name!r}", hint=f"did you mean {near[0]!r}?" if near else "")
        if dense and name in _OF_CLASSIFIERS:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for a detector or segmentor", hint="leave it out")
    return dict(how)
