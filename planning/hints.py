"""Hints in a run: what the stages of its networks give, and which of them are compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..base.errors import ModelError, TeacherError, UsageError
from ..recipes.hints import GuidedStages
from ..recipes.objectives.hints import StageShape
from ..zoo import LoadedModel, forward_with_maps
from ..zoo.features import blank_conditions
from .plan import Plan
from .teacher_views import run_size


def guided_stages(plan: Plan, student: LoadedModel, teachers: Sequence[LoadedModel]) -> GuidedStages | None:
    """Which of the networks' stages hints compare; None where a plan has none.

    Raises:
        UsageError: The recipe's networks look at images that it makes, or a teacher has no stage like the student's.
        ModelError: The student's stages are not known, or give no maps.
        TeacherError: A teacher's are not, or give none.
    """
    size = run_size(plan.recipe)
    if not plan.recipe.objective.hint_weight or not teachers:
        return None
    if plan.recipe.objective.reads.made_images:
        raise UsageError(
            f"{plan.recipe.name} takes no hints: its networks look at images that it makes",
            hint="leave objective.features.weight out",
        )
    shapes = []
    for teacher in teachers:
        try:
            shapes.append(stage_shapes(teacher, (size, size) if size else teacher.preprocessing.input_size[1:]))
        except ModelError as error:
            raise TeacherError(f"teacher {teacher.reference}: {error.message}", hint=error.hint) from error
    weight = plan.recipe.objective.hint_weight
    return GuidedStages(weight, stage_shapes(student, student.preprocessing.input_size[1:]), shapes)


def stage_shapes(loaded: LoadedModel, size: tuple[int, int]) -> tuple[StageShape, ...]:
    """The maps that a network's stages give of one blank image.

    Raises:
        ModelError: It does not name its stages, or one gives no map.
    """
    network = loaded.model
    was_training, device = network.training, next(network.parameters()).device
    blank, beside = torch.zeros(1, loaded.preprocessing.input_size[0], *size), blank_conditions(network, 1)
    try:
        with torch.no_grad():
            maps = forward_with_maps(network.eval(), blank.to(device), None if beside is None else beside.to(device))[2]
    finally:
        network.train(was_training)
    return tuple(StageShape(*one.shape[1:]) for one in maps)
