"""One pass over labelled images, each exactly once: top-1, top-5, loss and count; of a gaze, its angular error."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..base.errors import DataError
from ..data import Batch, EvalTransform, ImageSource, eval_batches
from ..zoo import LoadedModel, Preprocessing, network_output
from .distributed import Processes
from .precision import autocast
from .progress import Progress
from .regression import check_targets, count_errors, mean_and_spread
from .signals import StopRequest
from .teachers import TeacherEnsemble, normalise


@dataclass(frozen=True)
class EvalResult:
    """What a pass over labelled images gave.

    Attributes:
        top1: Percent of images whose first answer is right; NaN of a gaze.
        top5: Percent whose right answer is among the first five (or all, where there are fewer classes); NaN of a gaze.
        loss: Mean cross-entropy in nats; of a gaze, the mean squared error of pitch and yaw, radians².
        num_images: Images counted.
        angular_error: Mean angle between predicted and true gaze, degrees; None of classes.
        angular_spread: Standard deviation of that angle over the images, degrees; None of classes.
    """

    top1: float
    top5: float
    loss: float
    num_images: int
    angular_error: float | None = None
    angular_spread: float | None = None

    @property
    def value(self) -> float:
        """The number by which evaluations are compared: top-1, or the angular error."""
        return self.top1 if self.angular_error is None else self.angular_error

    def is_better(self, than: float | None) -> bool:
        """Whether the value beats the best one so far, None where this is the first."""
        if than is None or math.isnan(than):
            return True
        return self.value > than if self.angular_error is None else self.value < than

    def to_dict(self) -> dict[str, float | int]:
        """As a JSON object: what was measured."""
        apart = ("angular_error", "angular_spread") if self.angular_error is None else ("top1", "top5")
        return {name: value for name, value in asdict(self).items() if name not in apart}

    def summary(self) -> str:
        """In a line's part."""
        if self.angular_error is not None:
            return f"angular error {self.angular_error:.2f}° (squared error {self.loss:.5f} rad²)"
        return f"top-1 {self.top1:.2f} top-5 {self.top5:.2f} loss {self.loss:.4f}"


def num_ahead(logits: Tensor, labels: Tensor) -> Tensor:
    """How many classes each image's true class stands behind, int64 (B,); ties go to the lower class index.

    Args:
        logits: (B, C).
        labels: (B,), each in [0, C).
    """
    true = logits.gather(1, labels[:, None])
    earlier = torch.arange(logits.shape[1], device=logits.device)[None, :] < labels[:, None]
    return ((logits > true) | ((logits == true) & earlier)).sum(dim=1)


@torch.no_grad()
def evaluate(
    predict: Callable[..., Sequence[Tensor]],
    source: ImageSource,
    transform: EvalTransform,
    *,
    batch_size: int,
    workers: int,
    processes: Processes,
    channels_last: bool = True,
    limit: Sequence[int] | None = None,
    stop: StopRequest | None = None,
    title: str | None = None,
) -> list[EvalResult]:
    """Evaluate one or more predictions in one pass over the decoded images.

    Args:
        predict: Images in [0, 1] (B, 3, H, W) to one (B, C) tensor of logits a model; where the source has conditions,
            they are its second argument, (B, P).
        source: Labelled images, or images with a gaze.
        transform: How an image becomes an input.
        batch_size: Images a process takes at once.
        workers: Loader processes.
        processes: Who takes which images; the counts are those of all.
        channels_last: Memory layout of the images.
        limit: Positions to look at; all by default.
        stop: Asked between batches.
        title: Shows progress under this title.

    Returns:
        A result a model, in the order of ``predict``.

    Raises:
        DataError: There is no image, an image has no label, or one cannot be read.
        Interrupted: A signal came.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    count = len(source) if limit is None else len(limit)
    if count == 0:
        raise DataError(f"{source.name} ({source.split}) has no image", hint="look at it with 'kdzoo data check'")
    steps = math.ceil(math.ceil(count / processes.world_size) / batch_size)
    batches = eval_batches(
        source,
        transform,
        batch_size=batch_size,
        workers=workers,
        rank=processes.rank,
        world_size=processes.world_size,
        limit=limit,
    )
    progress: AbstractContextManager[Progress | None] = contextlib.nullcontext()
    if title is not None:
        progress = Progress(steps, title, batch_size, quiet=not processes.is_main)
    sums: Tensor | None = None
    gaze = source.is_regression
    with contextlib.closing(batches), progress as shown:
        for batch in batches:
            if stop is not None and processes.world_size == 1:
                stop.raise_if_requested("evaluation")
            images = batch.to_float(processes.device, layout)
            beside = () if batch.conditions is None else (batch.conditions.to(processes.device, non_blocking=True),)
            answers = predict(images, *beside)
            truth = check_targets(batch, source, answers) if gaze else _check_labels(batch, source, answers)
            labels = truth.to(processes.device, non_blocking=True)
            counts = torch.stack([_count(logits.float(), labels) for logits in answers])
            sums = counts if sums is None else sums + counts
            if shown is not None:
                mean = float(sums[0, 0] / sums[0, 3])
                shown.step({"degrees": mean} if gaze else {"top1": 100 * mean})
    results = processes.gather_objects(None if sums is None else sums.tolist())
    total = torch.tensor([part for part in results if part is not None], dtype=torch.float64).sum(dim=0).tolist()
    if gaze:
        return [_gaze_result(*sums) for sums in total]
    return [EvalResult(100 * r / n, 100 * f / n, loss / n, int(n)) for r, f, loss, n in total]


def _gaze_result(angles: float, squares: float, loss: float, count: float) -> EvalResult:
    return EvalResult(math.nan, math.nan, loss / count, int(count), *mean_and_spread(angles, squares, count))


def _check_labels(batch: Batch, source: ImageSource, answers: Sequence[Tensor]) -> Tensor:
    classes = min(logits.shape[1] for logits in answers)
    if int(batch.labels.min()) < 0 or int(batch.labels.max()) >= classes:
        raise DataError(
            f"{source.name} ({source.split}) has labels outside the model's {classes} classes",
            hint="evaluate on data with the model's own classes",
        )
    return batch.labels


def _count(logits: Tensor, labels: Tensor) -> Tensor:
    """Right answers, right among the first five, summed loss and count: float64, (4,); of a gaze, `count_errors`.

    An answer that is no number is wrong.
    """
    if labels.is_floating_point():
        return count_errors(logits, labels)
    ahead = num_ahead(logits, labels).masked_fill(logits.isnan().any(dim=1), logits.shape[1] + 5)
    loss = functional.cross_entropy(logits, labels, reduction="none").double().sum()
    return torch.stack([(ahead < 1).sum().double(), (ahead < 5).sum().double(), loss, loss.new_tensor(len(labels))])


def evaluate_model(
    model: LoadedModel,
    source: ImageSource,
    *,
    batch_size: int,
    workers: int,
    processes: Processes,
    precision: str = "fp32",
    channels_last: bool = True,
    limit: Sequence[int] | None = None,
    stop: StopRequest | None = None,
    title: str | None = None,
) -> EvalResult:
    """Evaluate a loaded model with its own preprocessing; its training mode comes back afterwards."""
    look = model.preprocessing
    network = model.model.to(processes.device)
    was_training = network.training
    network.eval()

    def predict(images: Tensor, conditions: Tensor | None = None) -> tuple[Tensor]:
        with autocast(processes.device, precision):
            return (network_output(network, normalise(images, look.mean, look.std), conditions),)

    try:
        return evaluate(
            predict,
            source,
            eval_transform(look),
            batch_size=batch_size,
            workers=workers,
            processes=processes,
            channels_last=channels_last,
            limit=limit,
            stop=stop,
            title=title,
        )[0]
    finally:
        network.train(was_training)


def eval_transform(look: Preprocessing) -> EvalTransform:
    """How a model's preprocessing turns an image into an input."""
    kind = cast("Literal['bilinear', 'bicubic']", look.interpolation)  # any other is refused by EvalTransform
    return EvalTransform(
        image_size=look.image_size, image_width=look.image_width, crop_pct=look.crop_pct, interpolation=kind
    )


def evaluate_ensemble(
    teachers: TeacherEnsemble,
    source: ImageSource,
    transform: EvalTransform,
    *,
    batch_size: int,
    workers: int,
    processes: Processes,
    limit: Sequence[int] | None = None,
    stop: StopRequest | None = None,
    title: str | None = None,
) -> list[EvalResult]:
    """Evaluate each teacher, and last the mean of their probabilities (of a gaze, of their means), in one pass.

    The images are those of ``transform``, brought to each teacher's own resolution and normalisation: what the
    student's run shows them.
    """

    def predict(images: Tensor, conditions: Tensor | None = None) -> list[Tensor]:
        logits = teachers(images, conditions).logits
        if source.is_regression:
            size = len(source.target_names)
            return [*logits, torch.stack([answer[:, :size] for answer in logits]).mean(dim=0)]
        mean = torch.stack([answer.softmax(dim=1) for answer in logits]).mean(dim=0)
        return [*logits, mean.clamp_min(1e-30).log()]

    return evaluate(
        predict,
        source,
        transform,
        batch_size=batch_size,
        workers=workers,
        processes=processes,
        limit=limit,
        stop=stop,
        title=title,
    )


@torch.no_grad()
def likeliest_outputs(
    teachers: TeacherEnsemble,
    index: int,
    source: ImageSource,
    *,
    transform: EvalTransform,
    batch_size: int,
    workers: int,
    processes: Processes,
    limit: Sequence[int],
    stop: StopRequest | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """One teacher's likeliest output for some images of a source, and their labels: int64, (N,) each, of all processes.

    Raises:
        DataError: An image cannot be read.
        Interrupted: A signal came.
    """
    batches = eval_batches(
        source,
        transform,
        batch_size=batch_size,
        workers=workers,
        rank=processes.rank,
        world_size=processes.world_size,
        limit=limit,
    )
    found: list[tuple[int, int]] = []
    with contextlib.closing(batches):
        for batch in batches:
            if stop is not None and processes.world_size == 1:
                stop.raise_if_requested("evaluation")
            logits = teachers.one(index, batch.to_float(processes.device, torch.channels_last))[0]
            found += zip(logits.argmax(dim=1).tolist(), batch.labels.tolist(), strict=True)
    pairs = np.array([pair for part in processes.gather_objects(found) for pair in part], dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]
