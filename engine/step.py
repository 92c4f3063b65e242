"""One step as an objective sees it: the mixed images, the student's and the teachers' answers, each computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..base.errors import RunError
from ..data import Batch, LabelStore, Mix, Mixing, apply_mix, draw_mix, generator
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


class Step:
    """One accumulated part of a step (see ``StepView`` for what its attributes mean).

    Args:
        images: Mixed images in [0, 1].
        labels: The images' labels.
        mixed_labels: The labels of what was mixed in, or None.
        mix_weight: Weight of ``labels``.
        sample_ids: Positions in the training source.
        epoch: 0-based.
        step: 0-based.
        num_training_images: Length of the training source.
        student: Images in [0, 1] to (logits, features), and to the stages' outputs where the objective reads them.
        teachers: The ensemble, or None for a run without teachers.
        seed: The run's.
        processes: This process among the run's.
        reads_maps: Whether the objective reads the stages' outputs.
        targets: What a regression predicts, (B, D), or None.
        mixed_targets: The targets of what was mixed in, or None.
        conditions: What networks may take beside the images, (B, P), mixed as targets are; or None.
        stored: What the teachers answered to these images, where that was stored and no teacher is here; or None.
    """

    def __init__(
        self,
        *,
        images: Tensor,
        labels: Tensor,
        mixed_labels: Tensor | None,
        mix_weight: float,
        sample_ids: Tensor,
        epoch: int,
        step: int,
        num_training_images: int,
        student: StudentForward,
        teachers: TeacherEnsemble | None,
        seed: int = 0,
        processes: Processes = _ALONE,
        reads_maps: bool = False,
        targets: Tensor | None = None,
        mixed_targets: Tensor | None = None,
        conditions: Tensor | None = None,
        stored: Answers | None = None,
    ) -> None:
        self.images = images
        self.labels = labels
        self.mixed_labels = mixed_labels
        self.mix_weight = mix_weight
        self.sample_ids = sample_ids
        self.epoch = epoch
        self.step = step
        self.num_training_images = num_training_images
        self.targets = targets
        self.mixed_targets = mixed_targets
        self._beside = () if conditions is None else (conditions,)
        self._student, self._teachers = student, teachers
        self._seed, self._processes, self._reads_maps = seed, processes, reads_maps
        self._student_answer: NetworkOutput | None = None
        self._stored = stored
        self._teacher_answer = stored

    def student(self, images: Tensor | None = None) -> NetworkOutput:
        """The student's answer; to the step's own images it is computed once a phase."""
        if images is not None:
            return NetworkOutput(*self._student(images, *self._beside))
        if self._student_answer is None:
            self._student_answer = NetworkOutput(*self._student(self.images, *self._beside))
        return self._student_answer

    def teachers(self, images: Tensor | None = None) -> Answers:
        """The teachers' answers; to the step's own images they are computed once."""
        if images is not None and images is not self.images:
            return self._ensemble()(images, *self._beside)
        if self._teacher_answer is None:
            self._teacher_answer = self._ensemble()(self.images, *self._beside)
        return self._teacher_answer

    @property
    def num_teachers(self) -> int:
        """How many teachers answer."""
        if self._stored is not None:
            return len(self._stored.logits)
        return 0 if self._teachers is None else len(self._teachers)

    def teacher(self, index: int) -> NetworkOutput:
        """One teacher's answer to the step's own images; computed at every call."""
        if self._stored is not None and not self._reads_maps:
            features = self._stored.features[index] if self._stored.features else self.images.new_empty(0)
            return NetworkOutput(self._stored.logits[index], features)
        beside = self._beside[0] if self._beside else None
        answer = self._ensemble().one(index, self.images, with_maps=self._reads_maps, conditions=beside)
        return NetworkOutput(*answer)

    def _ensemble(self) -> TeacherEnsemble:
        if self._stored is not None:
            raise RunError(
                "this recipe asks the teachers about other images than the stored labels are for",
                hint="run the teachers: --teacher REF in place of --labels",
            )
        if self._teachers is None:
            raise RunError("this recipe asks for teachers and has none", hint="name one with --teacher REF")
        return self._teachers

    def generator(self, stream: str, *position: int) -> np.random.Generator:
        """The run's generator at one position of one stream."""
        return generator(self._seed, f"objective/{stream}", *position)

    def gather(self, tensor: Tensor) -> Tensor:
        """Every process's rows, in rank order."""
        return self._processes.gather_batch(tensor.detach())

    def begin_phase(self) -> None:
        """Forget the student's answer: the phase before has moved its weights or used up its graph."""
        self._student_answer = None


@dataclass(frozen=True)
class Mixed:
    """A rank's images after mixing.

    Attributes:
        images: The mixed images.
        weight: Weight of the images' own labels; 1.0 for an unmixed step.
        labels: The partners' labels, or None for an unmixed step.
        targets: The partners' targets, or None where there are none.
        conditions: The images' own and their partners' conditions by that weight, or None where there are none.
    """

    images: Tensor
    weight: float = 1.0
    labels: Tensor | None = None
    targets: Tensor | None = None
    conditions: Tensor | None = None


def mix_batch(
    images: Tensor,
    labels: Tensor,
    mixing: Mixing,
    *,
    seed: int,
    epoch: int,
    step: int,
    processes: Processes,
    targets: Tensor | None = None,
    conditions: Tensor | None = None,
) -> Mixed:
    """Mix a rank's images with their partners in the global batch."""
    share = len(labels)
    height, width = images.shape[-2:]
    mix: Mix | None = draw_mix(mixing, share * processes.world_size, height, width, seed, epoch, step)
    if mix is None:
        return Mixed(images, conditions=conditions)
    mine = torch.as_tensor(mix.partner[processes.rank * share : (processes.rank + 1) * share], device=images.device)
    partners = processes.gather_batch(images)[mine]
    partner_labels = processes.gather_batch(labels)[mine]
    partner_targets = None if targets is None else processes.gather_batch(targets)[mine]
    if conditions is not None:
        theirs = processes.gather_batch(conditions)[mine]
        conditions = conditions * mix.weight + theirs * (1.0 - mix.weight)
    return Mixed(apply_mix(images, partners, mix), mix.weight, partner_labels, partner_targets, conditions)


def split_step(
    batch: Batch,
    *,
    parts: int,
    mixing: Mixing,
    seed: int,
    epoch: int,
    step: int,
    num_training_images: int,
    processes: Processes,
    layout: torch.memory_format,
    student: StudentForward,
    teachers: TeacherEnsemble | None,
    store: LabelStore | None = None,
    reads_maps: bool = False,
) -> list[Step]:
    """A rank's batch on its device, mixed, as the accumulated parts of one step."""
    images = batch.to_float(processes.device, layout)
    labels = batch.labels.to(processes.device, non_blocking=True)
    targets, conditions = (
        None if table is None else table.to(processes.device, non_blocking=True)
        for table in (batch.targets, batch.conditions)
    )
    mixed = mix_batch(
        images,
        labels,
        mixing,
        seed=seed,
        epoch=epoch,
        step=step,
        processes=processes,
        targets=targets,
        conditions=conditions,
    )
    answers = None
    if batch.answers is not None:
        answers = batch.answers.to(processes.device, non_blocking=True)
    ids = batch.sample_ids.to(processes.device, non_blocking=True)
    size = len(batch) // parts
    slices = [slice(index * size, (index + 1) * size) for index in range(parts)]
    return [
        Step(
            images=mixed.images[part],
            labels=labels[part],
            mixed_labels=None if mixed.labels is None else mixed.labels[part],
            mix_weight=mixed.weight,
            sample_ids=ids[part],
            epoch=epoch,
            step=step,
            num_training_images=num_training_images,
            student=student,
            teachers=teachers,
            seed=seed,
            processes=processes,
            reads_maps=reads_maps,
            targets=None if targets is None else targets[part],
            mixed_targets=None if mixed.targets is None else mixed.targets[part],
            conditions=None if mixed.conditions is None else mixed.conditions[part],
            stored=None if answers is None or store is None else Answers(*store.head.layout.split(answers[part])),
        )
        for part in slices
    ]
