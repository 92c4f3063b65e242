"""What a trained detector or segmentor finds in images without annotations, and files of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ...base.errors import UsageError
from ...base.writing import write_file
from ...data.reading import split_reading
from ...engine.precision import deterministic
from ...engine.teachers import weights_sha256
from ...evaluation.prediction.files import Prediction, PredictionFile, WrittenPredictions
from ...evaluation.prediction.images import ImageFile, digest_of_names
from ...evaluation.prediction.predict import seen_batches
from .predictor import DensePredictor

Predictor = DensePredictor[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Which images are drawn with what was found in them.

    Attributes:
        folder: Of the pictures.
        count: The first so many images.
    """

    folder: Path
    count: int

    def place(self, name: str) -> Path:
        """The picture of an image of this name."""
        return self.folder / f"{name}.jpg"


def predict_dense(
    predictor: Predictor,
    images: Sequence[ImageFile],
    *,
    device: torch.device,
    workers: int | None = None,
    start: int = 0,
) -> Iterator[Prediction]:
    """What is found in images, one at a time, as the run's evaluation looks at them.

    Args:
        predictor: With trained weights.
        images: See `find_images`.
        device: Where to compute.
        workers: Processes that read images; one a core, at most eight, where it is None.
        start: How many images are done already.

    Raises:
        Interrupted: SIGTERM or SIGINT came.
    """
    model = predictor.network.model.to(device).eval()
    exact = bool(predictor.settings.deterministic) or device.type == "cpu"
    batches = seen_batches(images, partial(_each, predictor.view), batch_size=1, workers=workers, start=start)
    with contextlib.closing(batches):
        for batch in batches:
            (path,), (error,) = batch.paths, batch.errors
            if error is not None:
                yield Prediction(path=path, error=error)
                continue
            with torch.no_grad(), deterministic(exact, benchmark=False):
                found = predictor.find(model, batch.seen[0], device)
            yield predictor.prediction(path, found)


def predict_dense_to_file(
    predictor: Predictor,
    images: Sequence[ImageFile],
    out: Path,
    *,
    device: torch.device,
    workers: int | None = None,
    pictures: Pictures | None = None,
) -> WrittenPredictions:
    """As `predict_dense`, with the answers in a file, or in a folder; one that was interrupted goes on.

    Args:
        predictor, images, device, workers: As those of `predict_dense`.
        out: A detector's file, a segmentor's folder.
        pictures: Which are drawn, too.

    Raises:
        UsageError: ``out`` or the pictures' folder is not a place for them.
        RunError: It cannot be written.
        KdzooError: As `predict_dense`.
    """
    names = picture_names(images)
    if predictor.END:
        refuse_images(images, (out / f"{name}{predictor.END}" for name in names), "--out")
    if pictures is not None:
        refuse_images(images, (pictures.place(name) for name in names[: pictures.count]), "--drawn")
    identity = {
        "model": weights_sha256(predictor.network.model),
        "settings": str(predictor.settings),
        "images": digest_of_names(images),
        "pictures": None if pictures is None else [str(pictures.folder.resolve()), pictures.count],
    }
    file = PredictionFile(predictor.table_path(out), identity, batch_size=1, table=predictor.TABLE)

    def answers(start: int) -> Iterator[Prediction]:
        found = predict_dense(predictor, images, device=device, workers=workers, start=start)
        for place, prediction in enumerate(found, start):
            if prediction.error is not None:
                yield prediction
                continue
            if pictures is not None and place < pictures.count:
                picture = predictor.drawn(images[place].load(), prediction)
                save = partial(picture.save, format="JPEG", quality=90)
                write_file(pictures.place(names[place]), save, option="--drawn")
            yield predictor.keep(out, names[place], prediction)

    written = file.write(answers)
    return WrittenPredictions(path=str(out), num_images=written.num_images, num_unreadable=written.num_unreadable)


def picture_names(images: Sequence[ImageFile]) -> list[str]:
    """A name for a file of each image: its path below the folder that all are in, without its end.

    Raises:
        UsageError: Two images would have the same name.
    """
    paths = [os.path.abspath(one.path) for one in images]
    base = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = [os.path.splitext(os.path.relpath(path, base))[0] for path in paths]
    first: dict[str, str] = {}
    for name, path in zip(names, paths, strict=True):
        if name in first:
            raise UsageError(
                f"{first[name]} and {path} would have the same name, {name}",
                hint="give them in two calls, or rename one",
            )
        first[name] = path
    return names


def refuse_images(images: Sequence[ImageFile], places: Iterable[Path], option: str) -> None:
    """Refuse to write over an image that is looked at.

    Raises:
        UsageError: A place is that of an image.
    """
    taken = {os.path.realpath(one.path) for one in images}
    for place in places:
        if os.path.realpath(place) in taken:
            raise UsageError(f"{place} is one of the images", hint=f"{option} another folder")


def refuse_inside(folder: Path, paths: Sequence[str], option: str) -> None:
    """Refuse a folder of pictures among the images, where the same call again would take them for images.

    Raises:
        UsageError: It lies in one of the given folders.
    """
    for text in paths:
        given = Path(split_reading(text)[0]).expanduser()
        if given.is_dir() and folder.resolve().is_relative_to(given.resolve()):
            raise UsageError(f"{option} {folder} lies among the images of {given}", hint=f"{option} a folder elsewhere")


def _each(view: Any, images: Iterator[Image.Image]) -> list[Any]:
    return [view(image) for image in images]
