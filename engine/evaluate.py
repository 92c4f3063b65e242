"""One pass over labelled images: top-1, top-5, loss and count, each image exactly once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from ..data import Batch, EvalTransform, ImageSource, eval_batches
from ..errors import DataError
from ..zoo import LoadedModel, Preprocessing
from .distributed import Processes
from .precision import autocast
from .progress import Progress
from .signals import StopRequest
from .teachers import TeacherEnsemble, normalise


@dataclass(frozen=True)
class EvalResult:
    """What a pass over labelled images gave.

    Attributes:
        top1: Percent of images whose first answer is right.
        top5: Percent whose right answer is among the first five (or all, where there are fewer classes).
        loss: Mean cross-entropy in nats.
        num_images: Images counted.
    """

    top1: float
    top5: float
    loss: float
    num_images: int

    def to_dict(self) -> dict[str, float | int]:
        """As a JSON object."""
        return asdict(self)


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
    predict: Callable[[Tensor], Sequence[Tensor]],
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
        predict: Images in [0, 1] (B, 3, H, W) to one (B, C) tensor of logits a model.
        source: Labelled images.
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
    with contextlib.closing(batches), progress as shown:
        for batch in batches:
            if stop is not None and processes.world_size == 1:
                stop.raise_if_requested("evaluation")
            answers = predict(batch.to_float(processes.device, layout))
            _check_labels(batch, source, answers)
            labels = batch.labels.to(processes.device, non_blocking=True)
            counts = torch.stack([_count(logits.float(), labels) for logits in answers])
            sums = counts if sums is None else sums + counts
            if shown is not None:
                shown.step({"top1": 100 * float(sums[0, 0] / sums[0, 3])})
    results = processes.gather_objects(None if sums is None else sums.tolist())
    total = torch.tensor([part for part in results if part is not None], dtype=torch.float64).sum(dim=0).tolist()
    return [EvalResult(100 * r / n, 100 * f / n, loss / n, int(n)) for r, f, loss, n in total]


def _check_labels(batch: Batch, source: ImageSource, answers: Sequence[Tensor]) -> None:
    classes = min(logits.shape[1] for logits in answers)
    if int(batch.labels.min()) < 0 or int(batch.labels.max()) >= classes:
        raise DataError(
            f"{source.name} ({source.split}) has labels outside the model's {classes} classes",
            hint="evaluate on data with the model's own classes",
        )


def _count(logits: Tensor, labels: Tensor) -> Tensor:
    """Right answers, right among the first five, summed loss and count: float64, (4,)."""
    ahead = num_ahead(logits, labels)
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

    def predict(images: Tensor) -> tuple[Tensor]:
        with autocast(processes.device, precision):
            return (network(normalise(images, look.mean, look.std)),)

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
    return EvalTransform(image_size=look.image_size, crop_pct=look.crop_pct, interpolation=kind)


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
    """Evaluate each teacher, and last the mean of their probabilities, in one pass.

    The images are those of ``transform``, brought to each teacher's own resolution and normalisation: what the
    student's run shows them.
    """

    def predict(images: Tensor) -> list[Tensor]:
        logits = teachers(images).logits
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
