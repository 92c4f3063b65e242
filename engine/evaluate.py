"""One pass over labelled images, each exactly once, for one model or several."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from ..base.errors import DataError
from ..base.metrics import Metrics
from ..data import Batch, EvalTransform, ImageSource, eval_batches
from ..zoo import LoadedModel, Preprocessing, network_output
from .distributed import Processes
from .multilabel import MULTILABEL_SCORING
from .precision import autocast
from .progress import Progress
from .regression import GAZE_SCORING
from .scoring import CLASS_SCORING, Scoring
from .signals import StopRequest
from .teachers import TeacherEnsemble, normalise


@dataclass(frozen=True, kw_only=True)
class PassSettings:
    """How a pass over images is made.

    Attributes:
        batch_size: Images a process takes at once.
        workers: Loader processes.
        processes: Who takes which images; the counts are those of all.
        channels_last: Memory layout of the images.
        limit: Positions to look at; all by default.
        stop: Asked between batches.
        title: Shows progress under this title.
        teacher_sizes: Sides at which each image is transformed too, for teachers that are run at these.
    """

    batch_size: int
    workers: int
    processes: Processes
    channels_last: bool = True
    limit: Sequence[int] | None = None
    stop: StopRequest | None = None
    title: str | None = None
    teacher_sizes: tuple[int, ...] = ()

    def batches(
        self, source: ImageSource, transform: EvalTransform
    ) -> Generator[tuple[Batch, Tensor, tuple[Tensor, ...]], None, None]:
        """This process's batches with their images in [0, 1], (B, 3, H, W), on its device, and those for teachers.

        Raises:
            DataError: An image cannot be read.
            Interrupted: A signal came.
        """
        processes = self.processes
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        batches = eval_batches(
            source,
            transform,
            batch_size=self.batch_size,
            workers=self.workers,
            rank=processes.rank,
            world_size=processes.world_size,
            limit=self.limit,
            pin_memory=processes.device.type == "cuda",
            teacher_sizes=self.teacher_sizes,
        )
        with contextlib.closing(batches):
            for batch in batches:
                if self.stop is not None and processes.world_size == 1:
                    self.stop.raise_if_requested("evaluation")
                further = batch.teacher_images_to_float(processes.device, layout)
                yield batch, batch.to_float(processes.device, layout), further

    def progress(self, num_images: int) -> AbstractContextManager[Progress | None]:
        """The progress of this process's share, where there is a title."""
        if self.title is None:
            return contextlib.nullcontext()
        steps = math.ceil(math.ceil(num_images / self.processes.world_size) / self.batch_size)
        return Progress(steps, self.title, self.batch_size, quiet=not self.processes.is_main)


@torch.no_grad()
def evaluate(
    predict: Callable[..., Sequence[Tensor]],
    source: ImageSource,
    transform: EvalTransform,
    how: PassSettings,
    *,
    scoring: Scoring | None = None,
) -> list[Metrics]:
    """Evaluate one or more predictions in one pass over the decoded images.

    Args:
        predict: Images in [0, 1] (B, 3, H, W) to one (B, C) tensor of logits a model; where the source has conditions,
            they are its second argument, (B, P); where ``how`` has sizes for teachers, the images of these sizes are
            its ``renderings``.
        source: Labelled images, or images with a gaze.
        transform: How an image becomes an input.
        how: Batches, processes, progress.
        scoring: How answers are judged; by default as the source's truth is.

    Returns:
        The metrics of each model, in the order of ``predict``.

    Raises:
        DataError: There is no image, an image has no label, or one cannot be read.
        Interrupted: A signal came.
    """
    count = len(source) if how.limit is None else len(how.limit)
    if count == 0:
        raise DataError(f"{source.name} ({source.split}) has no image", hint="look at it with 'kdzoo data check'")
    scoring, processes = scoring or scoring_of(source), how.processes
    kept: list[Tensor] = []
    with contextlib.closing(how.batches(source, transform)) as batches, how.progress(count) as shown:
        for batch, images, further in batches:
            beside = () if batch.conditions is None else (batch.conditions.to(processes.device, non_blocking=True),)
            answers = predict(images, *beside, **({"renderings": further} if further else {}))
            truth = scoring.truth(batch, source, answers).to(processes.device, non_blocking=True)
            counts = torch.stack([scoring.count(logits.float(), truth) for logits in answers])
            if scoring.by_image or not kept:
                kept.append(counts)
            else:
                kept[0] = kept[0] + counts
            if shown is not None:
                shown.step({} if scoring.by_image else {scoring.label: scoring.metrics(kept[0][0]).value})
    parts = processes.gather_objects(torch.cat(kept, dim=1).cpu() if kept else None)
    found = [part for part in parts if part is not None]
    return [*map(scoring.metrics, torch.cat(found, dim=1) if scoring.by_image else torch.stack(found).sum(dim=0))]


def scoring_of(source: ImageSource) -> Scoring:
    """How answers to a source's images are judged: by a gaze, by several classes, or by one."""
    if source.is_regression:
        return GAZE_SCORING
    return MULTILABEL_SCORING if source.is_multilabel else CLASS_SCORING


def evaluate_model(model: LoadedModel, source: ImageSource, how: PassSettings, *, precision: str = "fp32") -> Metrics:
    """Evaluate a loaded model with its own preprocessing; its training mode comes back afterwards."""
    look = model.preprocessing
    network = model.model.to(how.processes.device)
    was_training = network.training
    network.eval()

    def predict(images: Tensor, conditions: Tensor | None = None) -> tuple[Tensor]:
        with autocast(how.processes.device, precision):
            return (network_output(network, normalise(images, look.mean, look.std), conditions),)

    try:
        return evaluate(predict, source, eval_transform(look), how)[0]
    finally:
        network.train(was_training)


def eval_transform(look: Preprocessing) -> EvalTransform:
    """How a model's preprocessing turns an image into an input."""
    kind = cast("Literal['bilinear', 'bicubic']", look.interpolation)  # any other is refused by EvalTransform
    return EvalTransform(
        image_size=look.image_size, image_width=look.image_width, crop_pct=look.crop_pct, interpolation=kind
    )


def evaluate_ensemble(
    teachers: TeacherEnsemble, source: ImageSource, transform: EvalTransform, how: PassSettings
) -> list[Metrics]:
    """Evaluate each teacher, and last the mean of their probabilities (of a gaze, of their means), in one pass.

    The images are those of ``transform``, at the student's size or at those that ``how`` has for the teachers, brought
    to each teacher's resolution and normalisation: what the student's run shows them.
    """

    def predict(images: Tensor, conditions: Tensor | None = None, *, renderings: Sequence[Tensor] = ()) -> list[Tensor]:
        logits = teachers(images, conditions, renderings=renderings).logits
        if source.is_regression:
            size = len(source.target_names)
            return [*logits, torch.stack([answer[:, :size] for answer in logits]).mean(dim=0)]
        if source.is_multilabel:
            return [*logits, torch.stack([answer.sigmoid() for answer in logits]).mean(dim=0).logit(eps=1e-7)]
        mean = torch.stack([answer.softmax(dim=1) for answer in logits]).mean(dim=0)
        return [*logits, mean.clamp_min(1e-30).log()]

    return evaluate(predict, source, transform, how)


@torch.no_grad()
def likeliest_outputs(
    teachers: TeacherEnsemble, index: int, source: ImageSource, transform: EvalTransform, how: PassSettings
) -> tuple[np.ndarray, np.ndarray]:
    """One teacher's likeliest output for some images of a source, and their labels: int64, (N,) each, of all processes.

    Raises:
        DataError: An image cannot be read.
        Interrupted: A signal came.
    """
    found: list[tuple[int, int]] = []
    with contextlib.closing(how.batches(source, transform)) as batches:
        for batch, images, further in batches:
            logits = teachers.one(index, images, renderings=further)[0]
            found += zip(logits.argmax(dim=1).tolist(), batch.labels.tolist(), strict=True)
    pairs = np.array([pair for part in how.processes.gather_objects(found) for pair in part], dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]
