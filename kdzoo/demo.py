"""The whole story on embedded real images: two teachers, and one small student with and without them.

The two students start from the same weights, see the same views of the same images in the same order and take the same
number of steps; only what they are trained for differs. The settings were chosen for the time they take and for room to
differ (a small student, few epochs); docs/demo.md says how.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import Interrupted, RunError
from .base.regular_files import read_json

if TYPE_CHECKING:
    from .base.run_documents import TrainResult
    from .evaluation.examples import Example
    from .evaluation.overview import ComparedModel

DATA = "digits"
TEACHERS = ("cifar_resnet14", "cifar_wrn_16_1")
STUDENT = "cifar_resnet8"
TEACHER_EPOCHS = 8
STUDENT_EPOCHS = 8
SHARED: dict[str, Any] = {
    "data.dataset": DATA,
    "data.augmentation.crop": "pad4",
    "data.augmentation.hflip_prob": 0.0,  # a mirrored digit is another sign
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "training.batch_size": 64,
    "training.log_every_steps": 5,
    "optimizer.lr": 0.05,  # He et al.'s 0.1 at a batch of 128, scaled to 64
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": True,
    "optimizer.weight_decay": 1e-4,
    "schedule.name": "cosine",
    "schedule.milestones": (),
    "schedule.warmup_epochs": 0.0,
    "schedule.warmup_start": 0.0,
    "schedule.final": 0.0,
    "schedule.update": "step",
    "run.workers": 0,
}
_MARKER = "demo.json"
_OWN_IMAGES = """kdzoo train --model resnet34 --data FOLDER --out runs/teacher
kdzoo distill --recipe meal_v2 --student resnet18 --teacher runs/teacher --data FOLDER --out runs/student"""
ON_LABELS, DISTILLED = "Student on labels", "Student by meal_v2"


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured.

    Attributes:
        out: Its folder.
        report: The page over all runs.
        seed: Of the students; the teachers' follow from it.
        models: Teachers, ensemble, supervised student, distilled student.
        verdict: What the two students' numbers show, in words.
        seconds: That this process took.
    """

    out: str
    report: str
    seed: int
    models: tuple[ComparedModel, ...]
    verdict: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        models = [model.to_dict() for model in self.models]
        return {**vars(self), "models": models}

    def table(self) -> str:
        """The models as aligned text."""
        rows = [("model", "parameters", "top-1 %", "loss", "training s")]
        for m in self.models:
            seconds = "-" if m.seconds is None else f"{m.seconds:.1f}"
            rows.append((m.name, f"{m.parameters:,}", f"{m.top1:.2f}", f"{m.loss:.4f}", seconds))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, len(row)))]) for row in rows
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def run_demo(
    out: Path | str,
    *,
    seed: int = 0,
    teacher_epochs: int = TEACHER_EPOCHS,
    student_epochs: int = STUDENT_EPOCHS,
) -> DemoResult:
    """Train two teachers and two students, evaluate them, write the reports.

    Called again with the same arguments it goes on where it was interrupted.

    Args:
        out: Folder for the four runs, ``report.html`` and ``demo.json``.
        seed: Of the students.
        teacher_epochs: Passes over the training images for each teacher.
        student_epochs: The same for each student.

    Raises:
        RunError: ``out`` holds something else, or cannot be written.
        Interrupted: A signal came; what was finished is kept.
    """
    from .engine.distributed import start_processes
    from .engine.signals import StopRequest
    from .evaluation.overview import FinishedRun, evaluate_runs

    began = time.monotonic()
    folder = Path(out).expanduser()
    settings = {"seed": seed, "teacher_epochs": teacher_epochs, "student_epochs": student_epochs}
    _claim(folder, settings)
    teachers = [folder / f"teacher-{model}" for model in TEACHERS]
    finished = []
    try:
        for index, (model, path) in enumerate(zip(TEACHERS, teachers, strict=True)):
            _say(f"[{index + 1}/4] a teacher, {model}: {teacher_epochs} epochs on {DATA}")
            result = _train("supervised", model, teacher_epochs, 10 * seed + 1 + index, path)
            finished.append(FinishedRun(f"Teacher {model}", "teacher", path, result.seconds))
        _say(f"[3/4] the student, {STUDENT}, on labels: {student_epochs} epochs")
        result = _train("supervised", STUDENT, student_epochs, 10 * seed, folder / "student-labels")
        finished.append(FinishedRun(ON_LABELS, "baseline", folder / "student-labels", result.seconds))
        _say(f"[4/4] the same student by meal_v2 from both teachers: {student_epochs} epochs")
        result = _train("meal_v2", STUDENT, student_epochs, 10 * seed, folder / "student-meal_v2", teachers)
        finished.append(FinishedRun(DISTILLED, "student", folder / "student-meal_v2", result.seconds))
        with StopRequest() as stop:
            models, examples = evaluate_runs(DATA, finished, processes=start_processes(), stop=stop)
    except Interrupted as interrupted:
        raise Interrupted(interrupted.message, hint="run the same command again: it goes on from there") from None
    found, page = _report(folder, seed, models, examples)
    answer = DemoResult(str(folder), str(page), seed, tuple(models), found, time.monotonic() - began)
    _write_marker(folder, {"settings": settings, **answer.to_dict()})
    return answer


def _say(text: str) -> None:
    from .engine.progress import say

    say(text)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Take the folder, or refuse one that holds something else."""
    from .base.writing import clear_errors, make_folder

    with clear_errors(make_folder(folder)):
        taken = any(not entry.name.startswith(".") for entry in folder.iterdir())
    if not taken:
        _write_marker(folder, {"settings": settings})
        return
    try:
        before = read_json(folder / _MARKER)["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder} is not empty and holds no demo", hint="use another --out") from error
    if before != settings:
        raise RunError(f"{folder} holds a demo with other settings ({before})", hint="use another --out")


def _write_marker(folder: Path, document: dict[str, Any]) -> None:
    from .base.writing import write_json

    write_json(folder / _MARKER, document)


def _train(recipe: str, model: str, epochs: int, seed: int, out: Path, teachers: Sequence[Path] = ()) -> TrainResult:
    from .base.settings import Given
    from .planning.resolution import resolve
    from .planning.run import run

    settings = {**SHARED, "student.model": model, "student.init": "random", "training.epochs": epochs, "run.seed": seed}
    if teachers:
        settings["teachers.models"] = tuple(str(path) for path in teachers)
    given = {name: Given(value, "kdzoo demo") for name, value in settings.items()}
    return run(resolve(recipe, given=given), out=out, resume=True)


def _report(folder: Path, seed: int, models: list[ComparedModel], examples: list[Example]) -> tuple[str, Path]:
    """Each run's report and the page over all of them; the verdict and the page."""
    from .evaluation.overview import verdict, write_overview
    from .evaluation.report import write_report

    for model in models:
        if model.run:
            write_report(Path(model.run), examples=examples if model.name == DISTILLED else ())
    rows = {model.name: model for model in models}
    found = verdict(rows[ON_LABELS], rows[DISTILLED])
    images = rows[DISTILLED].num_images
    page = write_overview(
        folder / "report.html",
        title="One small student, with and without two teachers",
        lede=[f"{images} held-out scans of handwritten digits; every number here was measured.", found],
        models=models,
        compared=(ON_LABELS, DISTILLED),
        examples=examples,
        commands=[
            ("Another seed", f"kdzoo demo --seed {seed + 1} --out {shlex.quote(f'{folder}-seed{seed + 1}')}"),
            ("Evaluate the distilled student", f"kdzoo eval {shlex.quote(str(rows[DISTILLED].run))} --on {DATA}"),
            ("Distil on your own folders of images", _OWN_IMAGES),
        ],
    )
    return found, page
