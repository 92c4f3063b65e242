"""What a recipe trains for: the contract between a recipe's objective and the loop that runs it.

An objective owns its modules (a discriminator, embeddings, a memory) and declares its phases. An ordinary one has one
phase, the student's; an adversarial one has more, run one after the other at each step, in the paper's order. The loop
knows no paper: it asks a phase for its terms, sums them, and moves that phase's parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from ..base.errors import RunError
from ..base.metrics import PrimaryMetric
from ..zoo.features import Maps
from .settings import OptimizerSettings, ScheduleSettings


@dataclass(frozen=True)
class ParameterGroup:
    """Modules or bare parameters that share a learning rate.

    Attributes:
        name: Names the group in the log (``lr/<name>``).
        parameters: (name, parameter) pairs, in a fixed order.
        lr_scale: Multiplies the phase's learning rate.
        weight_decay: Overrides the phase's, or None.
    """

    name: str
    parameters: Sequence[tuple[str, nn.Parameter]]
    lr_scale: float = 1.0
    weight_decay: float | None = None


@dataclass(frozen=True)
class Phase:
    """One loss, one optimiser and the parameters that it moves.

    Attributes:
        name: ``student``, ``critic``, …; names the phase in logs and checkpoints.
        groups: What the phase's optimiser moves. Gradients that the loss sends elsewhere are discarded.
        optimizer: The optimiser and its base learning rate; None for the run's own.
        schedule: None for the run's own.
    """

    name: str
    groups: Sequence[ParameterGroup]
    optimizer: OptimizerSettings | None = None
    schedule: ScheduleSettings | None = None


class ModelOutput(Protocol):
    """A network's answer to a batch.

    Attributes:
        logits: (B, C).
        features: Pooled penultimate features before dropout and classifier, (B, D); computed together with the logits.
        maps: What the objective's ``reads_maps`` asks for: ``stages``: the outputs of the network's stages,
            (B, C_k, H_k, W_k), the earliest first; ``dense``: one, the map (B, C, H, W) that the network's head pools;
            ``heads``: the student's class head and distillation head, (B, C) each; else empty. Where hints are added,
            they follow those of the stages: read what you ask for from the end.
    """

    @property
    def logits(self) -> Tensor: ...

    @property
    def features(self) -> Tensor: ...

    @property
    def maps(self) -> tuple[Tensor, ...]: ...


class TeacherOutput(Protocol):
    """The teachers' answer to a batch; constants, no gradient flows into them.

    Attributes:
        logits: One (B, C) float32 tensor a teacher, in the order in which the teachers were given.
        features: One (B, D_k) tensor a teacher.
    """

    @property
    def logits(self) -> tuple[Tensor, ...]: ...

    @property
    def features(self) -> tuple[Tensor, ...]: ...


class StepView(Protocol):
    """What an objective sees of a step (of one accumulated part of it).

    Attributes:
        images: float32 in [0, 1], (B, 3, H, W), already mixed where the recipe mixes.
        labels: int64, (B,); -1 where the image has no label. The training objective decides whether it reads them.
        mixed_labels: int64, (B,); the labels of the images that were mixed in, or None for an unmixed step.
        mix_weight: Weight of ``labels`` where images were mixed (1 - mix_weight goes to ``mixed_labels``); else 1.0.
        sample_ids: int64, (B,), positions in the training source.
        epoch: 0-based.
        step: 0-based global step.
        num_training_images: Length of the training source.
        num_teachers: How many teachers answer.
        targets: float32, (B, D), what a regression predicts, NaN where an image has none; None for classes.
        mixed_targets: float32, (B, D); the targets of the images that were mixed in, or None.
    """

    images: Tensor
    labels: Tensor
    mixed_labels: Tensor | None
    mix_weight: float
    sample_ids: Tensor
    epoch: int
    step: int
    num_training_images: int
    targets: Tensor | None
    mixed_targets: Tensor | None

    @property
    def num_teachers(self) -> int: ...

    def student(self, images: Tensor | None = None) -> ModelOutput:
        """The student's answer to images in [0, 1] (the step's by default; then computed once a phase)."""

    def teachers(self, images: Tensor | None = None) -> TeacherOutput:
        """Run every teacher on ``images``, scaled to its size, in its own normalisation.

        By default on the step's own views, as the run shows them to each teacher; then they are run once a step.
        """

    def teacher(self, index: int) -> ModelOutput:
        """Run one teacher alone on the step's own views."""

    def generator(self, stream: str, *position: int) -> np.random.Generator:
        """The run's generator for a random choice of the objective's own, the same in every process.

        What is drawn depends on the run's seed, the stream's name and the position (up to three of epoch, step, sample
        id) alone, so that a resumed run and any number of processes draw the same.
        """

    def gather(self, tensor: Tensor) -> Tensor:
        """Every process's rows, in rank order: (B, …) to (processes · B, …); without a gradient. All must call it."""


class Objective(nn.Module):
    """Base of the recipes' objectives. Submodules and buffers are saved in every checkpoint and moved to the device.

    Attributes:
        reads_maps: What ``ModelOutput.maps`` is filled with.
        primary: What `measure` gives of held-out images; None where these are judged by their labels or targets.
    """

    reads_maps: Maps = ""
    primary: PrimaryMetric | None = None

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        """The phases of a step, in the order in which they run: the student's alone, unless the objective has more."""
        return (Phase("student", (student_group(student),)),)

    @abstractmethod
    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        """The phase's loss terms by name: scalars, already weighted, whose sum is minimised."""

    def set_modes(self, student: nn.Module) -> None:
        """Called before each step with the student in training mode: put in eval mode what the recipe keeps there."""

    def after_step(self, step: StepView) -> None:
        """Called once after all phases of a step (updates of memory banks and the like), with its last part."""

    def measure(self, step: StepView) -> Tensor:
        """Of held-out images, where ``primary`` is set: (B, K), a column each of its names; NaN for what is not there.

        Called without gradients, objective and student in eval mode.
        """
        raise NotImplementedError

    def export(self, folder: Path) -> None:
        """Called once after the last step, by the main process: write into the run folder what is of use without it."""


def mixed_targets(step: StepView) -> Tensor:
    """The step's targets, mixed as its images are: (B, D); NaN where one of two that are mixed is not known.

    Raises:
        RunError: The images have none.
    """
    if step.targets is None:
        raise RunError("this recipe learns numbers of each image and the data has none", hint="use other data")
    if step.mixed_targets is None:
        return step.targets
    return step.mix_weight * step.targets + (1.0 - step.mix_weight) * step.mixed_targets


def student_group(student: nn.Module) -> ParameterGroup:
    """All trainable parameters of the student as one group."""
    return ParameterGroup("student", [(n, p) for n, p in student.named_parameters() if p.requires_grad])
