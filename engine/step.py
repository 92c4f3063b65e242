"""One step as an objective sees it: the mixed images, the student's and the teachers' answers, each computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.errors import RunError
from ..data import Batch, LabelStore, Mix, Mixing, apply_mix, draw_mix, generator, mix_at
from ..zoo.features import Maps
from .distributed import Processes
from .teachers import Answers, TeacherEnsemble


@dataclass(frozen=True)
class NetworkOutput:
    """A network's answer: logits (B, C), pooled features (B, D) and, where they were asked for, its stages' outputs."""

    logits: Tensor
    features: Tensor
    maps: tuple[Tensor, ...] = ()


StudentForward = Callable[..., tuple[Tensor, Tensor] | tuple[Tensor, Tensor, tuple[Tensor, ...]]]
"""Images in [0, 1] to logits and pooled features, and to the stages' outputs where the objective reads them; where the
data has conditions, they are the second argument."""

_ALONE = Processes(0, 1, torch.device("cpu"))


@dataclass(frozen=True, kw_only=True)
class MixedBatch:
    """A rank's batch on its device, mixed, or one accumulated part of it.

    Attributes:
        images: Mixed images in [0, 1].
        labels: The images' own labels.
        sample_ids: Positions in the training source.
        mixed_labels: The labels of what was mixed in, or None for an unmixed step.
        mix_weight: Weight of ``labels``; 1.0 for an unmixed step.
        targets: What a regression predicts, (B, D), or None.
        mixed_targets: The targets of what was mixed in, or None.
        conditions: What networks may take beside the images, (B, P), mixed as targets are; or None.
        answers: The teachers' stored answers to these images, (B, W), or None.
        teacher_images: The same views at the further sizes that teachers see, mixed alike.
    """

    images: Tensor
    labels: Tensor
    sample_ids: Tensor
    mixed_labels: Tensor | None = None
    mix_weight: float = 1.0
    targets: Tensor | None = None
    mixed_targets: Tensor | None = None
    conditions: Tensor | None = None
    answers: Tensor | None = None
    teacher_images: tuple[Tensor, ...] = ()

    def part(self, rows: slice) -> MixedBatch:
        """Some of its images."""
        names = [entry.name for entry in fields(self) if isinstance(getattr(self, entry.name), Tensor)]
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **parts, teacher_images=tuple(images[rows] for images in self.teacher_images))


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What the steps of a run share.

    Attributes:
        student: Images in [0, 1] to (logits, features), and to the stages' outputs where the objective reads them.
        teachers: The ensemble, or None for a run without teachers.
        num_training_images: Length of the training source.
        seed: The run's.
        processes: This process among the run's.
        reads_maps: What the objective reads of the networks beside logits and pooled features.
        mixing: MixUp and CutMix.
        parts: Accumulated parts of a step.
        layout: Memory layout of the images.
        store: Where the teachers' answers were stored beforehand; then there are no ``teachers``.
    """

    student: StudentForward
    teachers: TeacherEnsemble | None
    num_training_images: int
    seed: int = 0
    processes: Processes = _ALONE
    reads_maps: Maps = ""
    mixing: Mixing = field(default_factory=Mixing)
    parts: int = 1
    layout: torch.memory_format = torch.contiguous_format
    store: LabelStore | None = None


class Step:
    """One accumulated part of a step (see ``StepView`` for what its attributes mean).

    Args:
        batch: Its images.
        run: What the run's steps share.
        epoch: 0-based.
        step: 0-based.
    """

    def __init__(self, batch: MixedBatch, run: StepContext, *, epoch: int, step: int) -> None:
        self.images, self.labels, self.mixed_labels = batch.images, batch.labels, batch.mixed_labels
        self.targets, self.mixed_targets = batch.targets, batch.mixed_targets
        self.mix_weight, self.sample_ids = batch.mix_weight, batch.sample_ids
        self.epoch, self.step, self.num_training_images = epoch, step, run.num_training_images
        self._run = run
        self._teacher_images = batch.teacher_images
        self._beside = () if batch.conditions is None else (batch.conditions,)
        self._student_answer: NetworkOutput | None = None
        self._stored: Answers | None = None
        if batch.answers is not None and run.store is not None:
            self._stored = Answers(*run.store.head.layout.split(batch.answers))
        self._answers = self._stored
        self._teacher_answers: dict[int, NetworkOutput] = {}

    def student(self, images: Tensor | None = None) -> NetworkOutput:
        """The student's answer; to the step's own images it is computed once a phase."""
        if images is not None:
            return NetworkOutput(*self._run.student(images, *self._beside))
        if self._student_answer is None:
            self._student_answer = NetworkOutput(*self._run.student(self.images, *self._beside))
        return self._student_answer

    def teachers(self, images: Tensor | None = None) -> Answers:
        """The teachers' answers; to the step's own images they are computed once."""
        if images is not None and images is not self.images:
            return self._ensemble()(images, *self._beside)
        if self._answers is None and self._run.reads_maps:
            each = [self.teacher(index) for index in range(len(self._ensemble()))]
            self._answers = Answers(tuple(one.logits for one in each), tuple(one.features for one in each))
        elif self._answers is None:
            self._answers = self._ensemble()(self.images, *self._beside, renderings=self._teacher_images)
        return self._answers

    @property
    def num_teachers(self) -> int:
        """How many teachers answer."""
        if self._stored is not None:
            return len(self._stored.logits)
        return 0 if self._run.teachers is None else len(self._run.teachers)

    def teacher(self, index: int) -> NetworkOutput:
        """One teacher's answer to the step's own images; computed once."""
        if self._stored is not None and not self._run.reads_maps:
            features = self._stored.features[index] if self._stored.features else self.images.new_empty(0)
            return NetworkOutput(self._stored.logits[index], features)
        if index not in self._teacher_answers:
            answer = self._ensemble().one(
                index,
                self.images,
                maps=self._run.reads_maps,
                conditions=self._beside[0] if self._beside else None,
                renderings=self._teacher_images,
            )
            self._teacher_answers[index] = NetworkOutput(*answer)
        return self._teacher_answers[index]

    def _ensemble(self) -> TeacherEnsemble:
        if self._stored is not None:
            raise RunError(
                "this recipe asks the teachers about other images than the stored labels are for",
                hint="run the teachers: --teacher REF in place of --labels",
            )
        if self._run.teachers is None:
            raise RunError("this recipe asks for teachers and has none", hint="name one with --teacher REF")
        return self._run.teachers

    def generator(self, stream: str, *position: int) -> np.random.Generator:
        """The run's generator at one position of one stream."""
        return generator(self._run.seed, f"objective/{stream}", *position)

    def gather(self, tensor: Tensor) -> Tensor:
        """Every process's rows, in rank order."""
        return self._run.processes.gather_batch(tensor.detach())

    def begin_phase(self) -> None:
        """Forget the student's answer: the phase before has moved its weights or used up its graph."""
        self._student_answer = None


def mix_batch(
    batch: Batch,
    mixing: Mixing,
    processes: Processes,
    layout: torch.memory_format,
    *,
    seed: int,
    epoch: int,
    step: int,
) -> MixedBatch:
    """Bring a rank's batch to its device and mix its images with their partners in the global batch."""
    batch = batch.on_device(processes.device)
    images = batch.to_float(processes.device, layout)
    labels, ids = (table.to(processes.device, non_blocking=True) for table in (batch.labels, batch.sample_ids))
    targets, conditions, answers = (
        None if table is None else table.to(processes.device, non_blocking=True)
        for table in (batch.targets, batch.conditions, batch.answers)
    )
    teacher_images = batch.teacher_images_to_float(processes.device, layout)
    own = MixedBatch(
        images=images,
        labels=labels,
        sample_ids=ids,
        targets=targets,
        conditions=conditions,
        answers=answers,
        teacher_images=teacher_images,
    )
    share = len(labels)
    height, width = images.shape[-2:]
    mix: Mix | None = draw_mix(mixing, share * processes.world_size, height, width, seed, epoch, step)
    if mix is None:
        return own

    def partner(rows: Tensor) -> Tensor:
        return processes.partner_rows(rows, mix.partner)

    theirs = replace(  # as bytes: a quarter of what floats would be
        batch,
        images=partner(batch.images),
        pixel_shift=None if batch.pixel_shift is None else partner(batch.pixel_shift),
        teacher_images=tuple(map(partner, batch.teacher_images)),
    )
    if conditions is not None:
        conditions = conditions * mix.weight + partner(conditions) * (1.0 - mix.weight)
    return replace(
        own,
        images=apply_mix(images, theirs.to_float(processes.device, layout), mix),
        mixed_labels=partner(labels),
        mix_weight=mix.weight,
        mixed_targets=None if targets is None else partner(targets),
        conditions=conditions,
        teacher_images=tuple(
            apply_mix(mine, other, mix_at(mix, height, mine.shape[-2]))
            for mine, other in zip(
                teacher_images, theirs.teacher_images_to_float(processes.device, layout), strict=True
            )
        ),
    )


def split_step(batch: Batch, run: StepContext, *, epoch: int, step: int) -> list[Step]:
    """A rank's batch on its device, mixed, as the accumulated parts of one step."""
    mixed = mix_batch(batch, run.mixing, run.processes, run.layout, seed=run.seed, epoch=epoch, step=step)
    size = len(batch) // run.parts
    parts = [mixed.part(slice(index * size, (index + 1) * size)) for index in range(run.parts)]
    return [Step(part, run, epoch=epoch, step=step) for part in parts]
