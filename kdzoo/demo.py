"""The whole story on embedded real images: few labels, many images, and one small student with and without teachers.

A draw of the data gives labels to 70 scans of digits, 1,000 more without labels, and 727 that nobody sees before the
end. Two teachers and the student on labels learn from the 70; the distilled student learns from all 1,070 what the
teachers say of them, and reads no label. Several draws make the gain and its interval; docs/demo.md says why so.
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
    from .evaluation.draws import PooledGain
    from .evaluation.examples import Example
    from .evaluation.overview import ComparedModel

TEACHERS = ("cifar_resnet14", "cifar_wrn_16_1")
STUDENT = "cifar_resnet8"
DRAWS = 3
EPOCHS = 6  # of the distilled student, so 180 steps of every model
BATCH_SIZE = 35  # 2 steps of the 70 labelled scans, 30 of all 1,070
EPOCHS_OF_LABELS = 15  # of the labelled scans, for the steps of one epoch of all
EVALUATE_EVERY = 3  # epochs of all: each model is looked at on the way once
SHARED: dict[str, Any] = {
    "data.augmentation.image_size": 16,
    "data.augmentation.crop": "random_resized",
    "data.augmentation.scale": (0.85, 1.0),
    "data.augmentation.ratio": (0.78, 1.28),
    "data.augmentation.hflip_prob": 0.0,  # a mirrored digit is another sign
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "data.evaluation.crop_pct": 1.0,
    "data.mean": (0.5, 0.5, 0.5),
    "data.std": (0.5, 0.5, 0.5),
    "training.batch_size": BATCH_SIZE,
    "training.log_every_steps": 14,
    "training.evaluate_every_epochs": EVALUATE_EVERY,
    "optimizer.lr": 0.05,
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": True,
    "optimizer.weight_decay": 5e-4,
    "schedule.name": "cosine",
    "schedule.milestones": (),
    "schedule.warmup_epochs": 0.0,
    "schedule.warmup_start": 0.0,
    "schedule.final": 0.0,
    "schedule.update": "step",
    "run.workers": 0,
}
SOFT_LABELS: dict[str, Any] = {"objective.temperature": 4.0, "objective.kd_weight": 1.0, "objective.label_weight": 0.0}
"""Of the distilled student: no label is read."""

_MARKER = "demo.json"
_LAST_SEED = 2**63
ON_LABELS, DISTILLED, ALL_LABELS = "Student on 70 labels", "Student distilled", "Student on all 1,070 labels"
WHY = (
    "Why: labels are few and images are many. The student on labels can use 70 images; the distilled one learns from "
    "1,070 what two larger teachers think of them and how sure they are. The teachers know the same 70 labels alone."
)
EQUAL = (
    "Held equal: the student's network and initial weights; for the teachers too, the number of steps, batch size, "
    "optimiser, schedule and crops; and which labels are known on either side. The images measured on were seen by no "
    "model before. The teachers are larger than the student, as teachers are."
)
QUICK = "One draw and few steps: this shows that everything works, and its numbers mean nothing."
_OWN_IMAGES = """kdzoo train --model resnet50 --data photos --out runs/teacher
kdzoo distill --student resnet18 --teacher runs/teacher --data photos --out runs/student
kdzoo eval runs/student runs/teacher --on photos"""


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured.

    Attributes:
        out: Its folder.
        report: The page over all runs.
        seed: Of the draws and of every run.
        models: Teachers, ensemble, the student on few labels, on all labels, distilled; means over the draws.
        gain: The distilled student's over the one on as many labels, draw by draw.
        verdict: What that shows, in words.
        seconds: That this process took.
    """

    out: str
    report: str
    seed: int
    models: tuple[ComparedModel, ...]
    gain: PooledGain
    verdict: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        models = [model.to_dict() for model in self.models]
        return {**vars(self), "models": models, "gain": self.gain.to_dict()}

    def table(self) -> str:
        """The models as aligned text."""
        rows = [("model", "parameters", "labels", "top-1 %", "loss", "training s")]
        for m in self.models:
            seconds = "-" if m.seconds is None else f"{m.seconds:.1f}"
            rows.append((m.name, f"{m.parameters:,}", m.labels, f"{m.top1:.2f}", f"{m.loss:.4f}", seconds))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, len(row)))]) for row in rows
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def run_demo(out: Path | str, *, seed: int = 0, draws: int = DRAWS, epochs: int = EPOCHS) -> DemoResult:
    """Train teachers and students on several draws of the data, evaluate them, write the reports.

    Called again with the same arguments it goes on where it was interrupted.

    Args:
        out: Folder for the draws with five runs each, ``report.html`` and ``demo.json``.
        seed: Of the draws and of every run; two seeds share no draw.
        draws: How many; from two on, the gain has an interval.
        epochs: Passes of the distilled student over its images; every other model takes as many steps.

    Raises:
        RunError: ``out`` holds something else, or cannot be written.
        Interrupted: A signal came; what was finished is kept.
    """
    from .evaluation.draws import DrawGain, PooledGain
    from .evaluation.overview import pool

    began = time.monotonic()
    folder = Path(out).expanduser()
    settings = {"seed": seed, "draws": draws, "epochs": epochs}
    _claim(folder, settings)
    measured: list[list[ComparedModel]] = []
    gains: list[DrawGain] = []
    examples: list[Example] = []
    try:
        for number in range(1, draws + 1):
            draw = (seed * draws + number - 1) % _LAST_SEED
            models, shown = _run_draw(folder / f"draw-{number}", draw, epochs, f"draw {number}/{draws}")
            examples = examples or shown
            measured.append(models)
            rows = {model.name: model for model in models}
            one, other = rows[ON_LABELS], rows[DISTILLED]
            gains.append(DrawGain(f"digits@few-{draw}", one.top1, other.top1, other.num_images))
    except Interrupted as interrupted:
        raise Interrupted(interrupted.message, hint="run the same command again: it goes on from there") from None
    gain = PooledGain(tuple(gains))
    found = gain.verdict() if draws > 1 else QUICK
    page = _report(folder, seed, measured, gain, found, examples)
    answer = DemoResult(str(folder), str(page), seed, tuple(pool(measured)), gain, found, time.monotonic() - began)
    _write_marker(folder, {"settings": settings, **answer.to_dict()})
    return answer


def _run_draw(folder: Path, draw: int, epochs: int, title: str) -> tuple[list[ComparedModel], list[Example]]:
    """One draw's five runs and what they measure on its held-out images."""
    from .engine.distributed import start_processes
    from .engine.progress import say
    from .engine.signals import StopRequest
    from .evaluation.overview import FinishedRun, evaluate_runs

    few, full, seed = f"digits@few-{draw}", f"digits@full-{draw}", 10 * draw % _LAST_SEED
    on_few = {
        "data.dataset": few,
        "training.epochs": epochs * EPOCHS_OF_LABELS,
        "training.evaluate_every_epochs": EVALUATE_EVERY * EPOCHS_OF_LABELS,
    }
    finished = []
    for index, model in enumerate(TEACHERS):
        say(f"[{title}] a teacher, {model}, on 70 labels")
        path = folder / f"teacher-{model}"
        result = _train("supervised", model, seed + 1 + index, path, on_few)
        finished.append(FinishedRun(f"Teacher {model}", "teacher", path, result.seconds, "70"))
    teachers = tuple(str(run.path) for run in finished)
    soft = {**SOFT_LABELS, "data.dataset": few, "data.unlabeled": few, "teachers.models": teachers}
    students: list[tuple[str, Any, str, str, str, dict[str, Any]]] = [
        (ON_LABELS, "baseline", "70", "student-labels", "supervised", on_few),
        (ALL_LABELS, "reference", "1,070", "student-all-labels", "supervised", {"data.dataset": full}),
        (DISTILLED, "student", "the teachers' 70", "student-distilled", "hinton_kd", soft),
    ]
    for name, role, labels, place, recipe, own in students:
        say(f"[{title}] {name[0].lower()}{name[1:]}, {STUDENT}")
        result = _train(recipe, STUDENT, seed, folder / place, {"training.epochs": epochs, **own})
        finished.append(FinishedRun(name, role, folder / place, result.seconds, labels))
    with StopRequest() as stop:
        return evaluate_runs(few, finished, processes=start_processes(), stop=stop)


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


def _train(recipe: str, model: str, seed: int, out: Path, own: dict[str, Any]) -> TrainResult:
    from .base.settings import Given
    from .planning.resolution import resolve
    from .planning.run import run

    settings = {**SHARED, "student.model": model, "student.init": "random", "run.seed": seed, **own}
    given = {name: Given(value, "kdzoo demo") for name, value in settings.items()}
    return run(resolve(recipe, given=given), out=out, resume=True)


def _report(
    folder: Path,
    seed: int,
    measured: Sequence[Sequence[ComparedModel]],
    gain: PooledGain,
    found: str,
    examples: Sequence[Example],
) -> Path:
    """Each run's report and the page over all of them."""
    from .evaluation.overview import pool, write_overview
    from .evaluation.report import write_report

    for models in measured:
        for model in models:
            if model.run:
                first = models is measured[0] and model.name == DISTILLED
                write_report(Path(model.run), examples=examples if first else ())
    rows = {model.name: model for model in measured[0]}
    lede = [found, WHY, EQUAL] if len(measured) > 1 else [found]
    return write_overview(
        folder / "report.html",
        title="One small student, with and without two teachers",
        lede=lede,
        models=pool(measured),
        compared=(ON_LABELS, DISTILLED),
        gain=gain,
        examples=examples,
        commands=[
            ("On your own folders of images (photos/train/CLASS and photos/val/CLASS)", _OWN_IMAGES),
            ("The student's classes for new images", "kdzoo predict runs/student new-photos/"),
            ("Another seed", f"kdzoo demo --seed {seed + 1} --out {shlex.quote(f'{folder}-seed{seed + 1}')}"),
            (
                "Evaluate the distilled student of the first draw",
                f"kdzoo eval {shlex.quote(str(rows[DISTILLED].run))} --on {gain.draws[0].name}",
            ),
        ],
    )
