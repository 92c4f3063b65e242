"""Several runs measured together: teachers, their ensemble, and students, on the same held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .dots import Role
from .overview import ComparedModel

if TYPE_CHECKING:
    from ..engine.distributed import Processes
    from ..engine.signals import StopRequest
    from .examples import Example


@dataclass(frozen=True)
class FinishedRun:
    """A run whose student is to be measured.

    Attributes:
        name: What the reader calls its model.
        role: What the model is in the comparison.
        path: The run folder.
        seconds: How long it trained.
    """

    name: str
    role: Role
    path: Path
    seconds: float


def measure(
    spec: str, runs: Sequence[FinishedRun], *, processes: Processes, stop: StopRequest | None = None
) -> tuple[list[ComparedModel], list[Example]]:
    """Evaluate every run's exported model, and the teachers' ensemble, on all held-out images.

    Args:
        spec: Data spec of the held-out images.
        runs: Teachers first, at least one; the last one is the student whose answers are shown.
        processes: Where to compute.
        stop: Asked between batches.

    Returns:
        A row a model, the ensemble after its teachers; and a few images with the last student's answers.

    Raises:
        ModelError: A run has no readable model.
        Interrupted: A signal came.
    """
    from ..data import open_source
    from ..engine.evaluate import PassSettings, eval_transform, evaluate_ensemble, evaluate_model
    from ..engine.teachers import TeacherEnsemble
    from ..zoo import load_model
    from .examples import find_examples

    source = open_source(spec, "val")
    models = [load_model(str(run.path)) for run in runs]
    sizes = [sum(p.numel() for p in model.model.parameters()) for model in models]
    num_teachers = sum(run.role == "teacher" for run in runs)
    teachers = TeacherEnsemble(models[:num_teachers], processes.device)
    how = PassSettings(batch_size=64, workers=0, processes=processes, stop=stop)
    *results, together = evaluate_ensemble(teachers, source, eval_transform(models[-1].preprocessing), how)
    results += [evaluate_model(model, source, how) for model in models[num_teachers:]]
    rows = [
        ComparedModel(run.name, run.role, size, r["top1"], r["loss"], r.num_images, run.seconds, str(run.path))
        for run, size, r in zip(runs, sizes, results, strict=True)
    ]
    size = sum(sizes[:num_teachers])
    ensemble = ComparedModel(
        "Ensemble of the teachers",
        "ensemble",
        size,
        together["top1"],
        together["loss"],
        together.num_images,
        None,
        None,
    )
    rows.insert(num_teachers, ensemble)
    return rows, find_examples(models[-1], source, processes.device, teachers=teachers)
