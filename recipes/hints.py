"""Hints beside any recipe's loss that learns from teachers: ``objective.features.weight``.

FitNets (A. Romero et al., arXiv 1412.6550) has one hint in the middle of the teacher, learnt before the student's
output is. Here it is one a stage, all through the run beside the recipe's own terms, as RepDistiller has it in its
comparison (train_student.py at b84f547, ``--distill hint``, whose weight for CIFAR's ResNets is 100): the mean squared
difference, without the paper's ½. The regressor is the paper's convolution, 1×1 as both maps are brought to one size,
without a nonlinearity, since timm's stages end in different ones or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from ..base.errors import UsageError
from ..engine.objective import Objective, ParameterGroup, Phase, StepView
from ..zoo.features import Maps
from .objectives.hints import StageShape, hint_loss, stage_pairs

_BESIDE: dict[Maps, Maps] = {"": "stages", "stages": "stages", "dense": "stages+dense", "heads": "stages+heads"}
LIVE = "hints read the outputs of the teachers' stages"
"""Why a run with hints needs the teachers themselves."""


class GuidedStages:
    """Which stages of a student and its teachers are compared.

    Attributes:
        weight: Of the mean over all teachers of the mean over their hints.
        pairs: (the student's, the teacher's) places of each teacher.
        widths: Their channels, likewise.

    Args:
        weight: As above.
        student: The student's stages.
        teachers: Those of each teacher.

    Raises:
        UsageError: A teacher has no stage whose map is of a size of the student's.
    """

    def __init__(self, weight: float, student: Sequence[StageShape], teachers: Sequence[Sequence[StageShape]]) -> None:
        self.weight = weight
        self.pairs = [stage_pairs(student, teacher) for teacher in teachers]
        self.widths = [
            [(student[own].channels, teacher[theirs].channels) for own, theirs in pairs]
            for pairs, teacher in zip(self.pairs, teachers, strict=True)
        ]
        for number, (pairs, teacher) in enumerate(zip(self.pairs, teachers, strict=True), start=1):
            if not pairs:
                raise UsageError(
                    f"no stage of teacher {number} has a map of a size of the student's: {_sizes(teacher)} beside "
                    f"{_sizes(student)}",
                    hint="show it another size (--set teachers.view=PIXELS), or leave objective.features.weight out",
                )


class Hinted(Objective):
    """A recipe's objective with hints.

    Terms: the objective's, and ``hint_K`` for each guided stage K of the student, counted from 0.

    Args:
        objective: The recipe's; its own phase ``student`` gets the hints.
        stages: What is compared.
    """

    def __init__(self, objective: Objective, stages: GuidedStages) -> None:
        super().__init__()
        self.objective, self.weight, self.primary = objective, stages.weight, objective.primary
        self.reads_maps, self.pairs = _BESIDE[objective.reads_maps], stages.pairs
        self.regressors = nn.ModuleList(
            nn.ModuleList(nn.Linear(own, theirs) for own, theirs in widths) for widths in stages.widths
        )

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        group = ParameterGroup("regressors", list(self.regressors.named_parameters()))
        return tuple(
            replace(phase, groups=(*phase.groups, group)) if phase.name == "student" else phase
            for phase in self.objective.phases(student)
        )

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        terms = self.objective.terms(phase, step)
        return {**terms, **self.hints(step)} if phase == "student" else terms

    def hints(self, step: StepView) -> dict[str, Tensor]:
        """The weighted term of each guided stage."""
        found: dict[int, list[Tensor]] = defaultdict(list)
        maps = step.student().maps
        for teacher, (pairs, regressors) in enumerate(zip(self.pairs, self.regressors, strict=True)):
            theirs, share = step.teacher(teacher).maps, self.weight / (len(self.pairs) * len(pairs))
            assert isinstance(regressors, nn.ModuleList)
            for (own, other), regressor in zip(pairs, regressors, strict=True):
                found[own].append(share * hint_loss(maps[own], theirs[other], regressor))
        return {f"hint_{own}": sum(parts[1:], start=parts[0]) for own, parts in sorted(found.items())}

    def set_modes(self, student: nn.Module) -> None:
        self.objective.set_modes(student)

    def after_step(self, step: StepView) -> None:
        self.objective.after_step(step)

    def measure(self, step: StepView) -> Tensor:
        return self.objective.measure(step)

    def export(self, folder: Path) -> None:
        self.objective.export(folder)


def _sizes(shapes: Sequence[StageShape]) -> str:
    return ", ".join(dict.fromkeys(f"{shape.height}×{shape.width}" for shape in shapes))
