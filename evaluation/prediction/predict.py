"""The likeliest classes of images without labels, and their embeddings: one answer an image, in the images' order."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...base.errors import Interrupted, ModelError
from ...base.setting_values import default_workers
from ...data.eval_views import EvalView
from ...data.images import UnreadableImage
from ...data.workers import TaskIterator
from ...engine.progress import Progress
from ...engine.signals import StopRequest
from .classifier import Classifier
from .files import ClassTable, Prediction, PredictionFile, WrittenPredictions
from .images import ImageFile, digest_of_names

Seen = TypeVar("Seen")


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """What to say of each image, and how.

    Attributes:
        top_k: Classes an image, the likeliest first.
        embeddings: Whether the features before the classifier are given too.
        score_threshold: Classes of a lesser probability are left out; None to leave none out.
        batch_size: Images at once.
        workers: Processes that read images; one a core, at most eight, where it is None.
    """

    top_k: int = 5
    embeddings: bool = False
    score_threshold: float | None = None
    batch_size: int = 64
    workers: int | None = None


def predict_to_file(
    classifier: Classifier, images: Sequence[ImageFile], path: Path, how: PredictSettings
) -> WrittenPredictions:
    """As `predict_images`, with the answers in a file; one that was interrupted goes on when it is called again.

    Raises:
        KdzooError: As `predict_images`; RunError where the file cannot be written.
    """
    identity = {
        "model": classifier.digest,
        "view": str(classifier.view),
        "images": digest_of_names(images),
        "settings": [how.top_k, how.embeddings, how.batch_size, how.score_threshold],
    }
    table = ClassTable(min(how.top_k, len(classifier.class_names)))
    file = PredictionFile(path, identity, batch_size=how.batch_size, table=table)
    return file.write(lambda start: predict_images(classifier, images, how, start=start))


def predict_images(
    classifier: Classifier, images: Sequence[ImageFile], how: PredictSettings, *, start: int = 0
) -> Iterator[Prediction]:
    """Answers to images, one at a time, in their order; memory does not grow with their number.

    Args:
        classifier: See `open_classifier`.
        images: See `find_images`.
        how: What to say.
        start: How many images are done already; a multiple of the batch size.

    Raises:
        ModelError: The model's answers are not numbers.
        Interrupted: SIGTERM or SIGINT came.
    """
    see = partial(_pixels, classifier.view)
    batches = seen_batches(images, see, batch_size=how.batch_size, workers=how.workers, start=start)
    with contextlib.closing(batches):
        for batch in batches:
            yield from _answers(classifier, batch, how)


@dataclass(frozen=True)
class SeenBatch(Generic[Seen]):
    """Images as a network takes them.

    Attributes:
        paths: Of all of them.
        errors: Why an image cannot be read, or None.
        seen: What was made of those that can be.
    """

    paths: tuple[str, ...]
    errors: tuple[str | None, ...]
    seen: Seen


def seen_batches(
    images: Sequence[ImageFile],
    see: Callable[[Iterator[Image.Image]], Seen],
    *,
    batch_size: int,
    workers: int | None,
    start: int = 0,
) -> Generator[SeenBatch[Seen]]:
    """Images in batches, in their order, with progress.

    Args:
        images: See `find_images`.
        see: What the network takes of images that can be read; runs in the loader's processes.
        batch_size: Images at once.
        workers: Processes that read images; one a core, at most eight, where it is None.
        start: How many images are done already; a multiple of the batch size.

    Raises:
        Interrupted: SIGTERM or SIGINT came.
    """
    batches = range(start // batch_size, math.ceil(len(images) / batch_size))
    task = _Task(images, see, batch_size)
    loader: TaskIterator[SeenBatch[Seen]] = TaskIterator(task, batches, workers=default_workers(workers))
    progress = Progress(batches.stop, "predicting", min(batch_size, len(images)), start=batches.start)
    with StopRequest() as stop, contextlib.closing(loader), progress:
        for batch in loader:
            yield batch
            progress.step({})
            if stop.received is not None:
                raise Interrupted(
                    f"prediction interrupted by {stop.received.name}",
                    hint="run the same command again: what --out holds is gone on with",
                )


class _Task(Generic[Seen]):
    """Makes a batch."""

    def __init__(self, images: Sequence[ImageFile], see: Callable[[Iterator[Image.Image]], Seen], batch: int) -> None:
        self.images, self.see, self.batch_size = images, see, batch

    def __call__(self, index: int) -> SeenBatch[Seen]:
        images = self.images[index * self.batch_size : (index + 1) * self.batch_size]
        errors: list[str | None] = []
        seen = self.see(_readable(images, errors))
        return SeenBatch(tuple(one.path for one in images), tuple(errors), seen)


def _readable(images: Sequence[ImageFile], errors: list[str | None]) -> Iterator[Image.Image]:
    """The images that can be read, one at a time; of each image its error, or None, goes to ``errors``."""
    for one in images:
        try:
            image = one.load()
        except UnreadableImage as error:
            errors.append(error.reason)
            continue
        errors.append(None)
        yield image


def _pixels(view: EvalView, images: Iterator[Image.Image]) -> Tensor:
    """uint8, (B, 3, H, W)."""
    seen = [view.apply(image)[0] for image in images]
    pixels = np.stack(seen) if seen else np.empty((0, *view.size, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _answers(classifier: Classifier, batch: SeenBatch[Tensor], how: PredictSettings) -> Iterator[Prediction]:
    answers: Iterator[tuple[list[float], list[int], np.ndarray | None]] = iter(())
    if len(batch.seen):
        probabilities, features = classifier.answer(batch.seen, embeddings=how.embeddings)
        if not all(bool(one.isfinite().all()) for one in (probabilities, features) if one is not None):
            raise ModelError(
                f"{classifier.reference} gives answers that are no numbers, among them for {batch.paths[0]} to "
                f"{batch.paths[-1]}",
                hint="its weights are damaged, or were trained until they diverged",
            )
        values, places = probabilities.topk(min(how.top_k, len(classifier.class_names)), dim=1)
        embedded = itertools.repeat(None) if features is None else iter(features.numpy())
        answers = zip(values.tolist(), places.tolist(), embedded)
    for path, error in zip(batch.paths, batch.errors, strict=True):
        if error is not None:
            yield Prediction(path=path, error=error)
            continue
        shares, classes, embedding = next(answers)
        kept = [one for one in zip(classes, shares, strict=True) if one[1] >= (how.score_threshold or 0)]
        names = tuple(classifier.class_names[index] for index, _ in kept)
        yield Prediction(path=path, classes=names, probabilities=tuple(share for _, share in kept), embedding=embedding)
