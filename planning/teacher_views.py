"""At what size each teacher of a run sees the run's views (``teachers.view``), and whether it can."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..base.errors import TeacherError
from ..data import TeacherRecord
from ..recipes.recipe import Recipe
from ..zoo import LoadedModel, network_output
from ..zoo.features import blank_conditions


def run_size(recipe: Recipe) -> int | None:
    """The side of the images that every teacher is run at, pixels; None for each one's own input size."""
    view = recipe.teachers.view
    return view if isinstance(view, int) else None


def sides_seen(recipe: Recipe, teachers: Sequence[TeacherRecord]) -> tuple[int, ...]:
    """The side at which each teacher's views are rendered, pixels; empty where all see the student's.

    Raises:
        TeacherError: A teacher's own images are no squares.
    """
    view = recipe.teachers.view
    if view == "student":
        return ()
    if isinstance(view, int):
        return (view,) * len(teachers)
    return tuple(_own_side(teacher) for teacher in teachers)


def _own_side(teacher: TeacherRecord) -> int:
    height, width = (teacher.preprocessing.get(name) for name in ("image_size", "image_width"))
    if not isinstance(height, int) or width not in (None, height):
        raise TeacherError(
            f"teacher {teacher.reference} takes images of {height}×{width} px, views are square",
            hint="leave teachers.view out: it then sees the student's, resized",
        )
    return height


def further_sizes(recipe: Recipe, sides: Sequence[int]) -> tuple[int, ...]:
    """The sides at which views are rendered beside the student's own, each once, ascending."""
    return tuple(sorted({*sides} - {recipe.data.augmentation.image_size}))


def require_size(teachers: Sequence[LoadedModel], size: int | None) -> None:
    """Refuse teachers that cannot be run at a size that is not their own.

    Raises:
        TeacherError: One cannot.
    """
    for teacher in teachers if size is not None else ():
        images = torch.zeros(1, teacher.preprocessing.input_size[0], size or 0, size or 0)
        was_training = teacher.model.training
        try:
            with torch.no_grad():
                network_output(teacher.model.eval(), images, blank_conditions(teacher.model, 1))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise TeacherError(
                f"teacher {teacher.reference} cannot be run at {size} px ({' '.join(str(error).split())[:80]})",
                hint="use teachers.view=own, or another size",
            ) from error
        finally:
            teacher.model.train(was_training)


def view_notes(recipe: Recipe, teachers: Sequence[TeacherRecord]) -> list[str]:
    """What each teacher sees where that is not the student's pixels, a line each."""
    student, notes = recipe.data.augmentation.image_size, []
    for teacher, side in zip(teachers, sides_seen(recipe, teachers)):
        cost = f", rendered from the same decoding with {(side / student) ** 2:.3g} times the pixels"
        shown = f"teacher {teacher.reference} sees each view at {side} px, the student at {student} px"
        notes.append(shown + (cost if side != student else ""))
    return notes
