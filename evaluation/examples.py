"""Held-out images with what the student says of them, the truth, and the teachers' soft label."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from .page import data_uri

if TYPE_CHECKING:
    import torch

    from ..data import ImageSource
    from ..engine.teachers import TeacherEnsemble
    from ..zoo import LoadedModel, Preprocessing

_MOST_LOOKED_AT = 2000
_SMALL = 48  # pixels; below this an image is shown enlarged with its pixels visible


@dataclass(frozen=True)
class Belief:
    """A class and the probability given to it, percent."""

    name: str
    percent: float


@dataclass(frozen=True)
class Example:
    """One held-out image.

    Attributes:
        image: As the source has it.
        identity: Its name in the source.
        truth: Its class.
        student: The student's likeliest classes, the likeliest first.
        teachers: The same of the teachers' mean probabilities; empty without teachers.
        chosen: Whether it is one of an even spread or one of the student's surest mistakes.
    """

    image: Image.Image
    identity: str
    truth: str
    student: tuple[Belief, ...]
    teachers: tuple[Belief, ...]
    chosen: Literal["even", "mistake"]


def find_examples(
    student: LoadedModel,
    source: ImageSource,
    device: torch.device,
    *,
    teachers: TeacherEnsemble | None = None,
    num_even: int = 4,
    num_mistakes: int = 8,
    num_classes: int = 3,
) -> list[Example]:
    """Look at a source with a student: a few images spread evenly, then its surest mistakes.

    Args:
        student: The student; left in the mode and on the device that it had.
        source: Labelled held-out images; at most 2,000, evenly spread, are looked at.
        device: Where the student computes.
        teachers: Asked about the chosen images, on the same device.
        num_even: Images of the even spread.
        num_mistakes: Mistakes, by the probability that the student gives to its wrong answer.
        num_classes: Likeliest classes to show.
    """
    import torch

    from ..engine.preflight import even_slice

    look, network = student.preprocessing, student.model
    was_training, was_on = network.training, next(network.parameters()).device
    looked_at = even_slice(len(source), _MOST_LOOKED_AT)
    network.to(device).eval()
    try:
        with torch.no_grad():
            batches = shown_batches(source, look, looked_at, device)
            beliefs = torch.cat([network(inputs).float().softmax(dim=1).cpu() for *_, inputs in batches])
    finally:
        network.to(was_on).train(was_training)
    labels = torch.as_tensor(source.labels[looked_at])
    surest, guess = beliefs.max(dim=1)
    wrong = torch.where(guess != labels, surest, -1.0).argsort(descending=True, stable=True)
    mistakes = wrong[: min(num_mistakes, int((guess != labels).sum()))].tolist()
    even = [row for row in even_slice(len(looked_at), num_even) if row not in mistakes]
    rows = even + mistakes
    positions, theirs = [looked_at[row] for row in rows], None
    if teachers is not None and rows:
        shown = shown_batches(source, look, positions, device, teachers)
        theirs = torch.cat([mean_probabilities(teachers, images, further).cpu() for images, further, _ in shown])
    names = source.class_names
    return [
        Example(
            image=source.load(position),
            identity=source.identity(position),
            truth=names[int(labels[row])],
            student=_likeliest(beliefs[row], names, num_classes),
            teachers=() if theirs is None else _likeliest(theirs[i], names, num_classes),
            chosen="mistake" if row in mistakes else "even",
        )
        for i, (row, position) in enumerate(zip(rows, positions, strict=True))
    ]


def shown_batches(
    source: ImageSource,
    look: Preprocessing,
    positions: Sequence[int],
    device: torch.device,
    teachers: TeacherEnsemble | None = None,
) -> Iterator[tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor]]:
    """Batches of some images: in [0, 1], (B, 3, H, W); those at each teacher's own size; and as a model takes them."""
    import torch

    from ..data import eval_batches
    from ..engine.evaluate import eval_transform
    from ..engine.teachers import normalise

    transform = eval_transform(look)
    sides = {height for height, width in (teachers.sizes if teachers else ()) if height == width}
    with contextlib.closing(
        eval_batches(
            source,
            transform,
            batch_size=64,
            workers=0,
            limit=positions,
            teacher_sizes=tuple(sorted(sides - {transform.image_size})),
        )
    ) as batches:
        for batch in batches:
            images = batch.to_float(device, torch.channels_last)
            further = batch.teacher_images_to_float(device, torch.channels_last)
            yield images, further, normalise(images, look.mean, look.std)


def mean_probabilities(
    teachers: TeacherEnsemble, images: torch.Tensor, further: Sequence[torch.Tensor]
) -> torch.Tensor:
    """The mean of the teachers' probabilities, (B, C), for images and what `shown_batches` has of them beside."""
    import torch

    answers = teachers(images, renderings=further).logits
    return torch.stack([logits.softmax(dim=1) for logits in answers]).mean(dim=0)


def _likeliest(probabilities: torch.Tensor, names: Sequence[str], number: int) -> tuple[Belief, ...]:
    values, classes = probabilities.topk(min(number, len(names)))
    return tuple(Belief(names[c], 100 * v) for v, c in zip(values.tolist(), classes.tolist(), strict=True))


def picture(example: Example) -> dict[str, Any]:
    """An example as the template shows it."""
    beliefs = [("student", example.student)]
    if example.teachers:
        beliefs.append(("teacher", example.teachers))
    return {
        "uri": data_uri(example.image),
        "small": max(example.image.size) <= _SMALL,
        "identity": example.identity,
        "truth": example.truth,
        "predicted": example.student[0].name,
        "correct": example.student[0].name == example.truth,
        "beliefs": beliefs,
    }


def pictures_note(examples: Sequence[Example]) -> str:
    """How the pictures were chosen."""
    mistakes = sum(example.chosen == "mistake" for example in examples)
    even = len(examples) - mistakes
    text = f"{even} spread evenly over the held-out images"
    return f"{text}, then the {mistakes} mistakes that the student was surest of." if mistakes else f"{text}."
