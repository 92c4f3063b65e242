"""Runs one small distillation whose process is killed at one place after another, each time in a new process.

    python kill_program.py OUT WORKERS [PLACE ...]

A place is ``NAME:N``: SIGKILL comes when the N-th such moment of that process is reached. The last process is not
killed; with ``--leave`` there is none. With ``--term`` SIGTERM is sent instead. With ``--plan=FILE`` the run is that
of a recipe: a JSON object with
``recipe``, ``variants`` and ``given`` settings. Prints one line a process: the place and how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import kdzoo.engine.checkpoint as checkpoint
import kdzoo.engine.loop as loop
import kdzoo.engine.metric_lines as metrics
import kdzoo.engine.multilabel as multilabel
import kdzoo.engine.phases as phases
import kdzoo.engine.regression as regression
import kdzoo.engine.scoring as scoring
from kdzoo.base.errors import Interrupted
from kdzoo.base.metrics import Metrics
from kdzoo.base.settings import Given
from kdzoo.data import ArraySource, Augmentation, EvalTransform, Mixing, open_source, torch_seed
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.position import Position
from kdzoo.engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import build_job
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.registry import get_recipe
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))
SIGNAL = signal.SIGKILL
PLAN: Path | None = None


def subset(split: str, count: int) -> ArraySource:
    """The first images of the embedded digits."""
    source = open_source("digits", split)
    pixels = np.stack([np.asarray(source.load(index)) for index in range(count)])
    names = [source.identity(index) for index in range(count)]
    return ArraySource("digits", split, source.class_names, source.labels[:count].copy(), pixels, names)


def make_job(out: Path, workers: int) -> TrainJob:
    """MEAL V2 with an alternating discriminator (two optimisers), CutMix, a moving average and teachers' own views."""
    count_instead_of_measuring()
    teachers = [load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=seed) for seed in (1, 2)]
    student = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=3)
    settings = replace(get_recipe("meal_v2").objective, discriminator="alternating")
    torch.manual_seed(torch_seed(0, "objective"))
    shapes = Shapes(
        num_classes=10,
        num_teachers=2,
        student_features=student.model.num_features,
        teacher_features=tuple(teacher.model.num_features for teacher in teachers),
        num_training_images=256,
    )
    return TrainJob(
        student=student,
        objective=settings.build(shapes),
        teachers=TeacherEnsemble(teachers, CPU.device),
        train_source=subset("train", 256),
        val_source=subset("val", 96),
        augmentation=Augmentation(image_size=16, color_jitter=(0.2, 0.2, 0.2), erase_prob=0.3),
        mixing=Mixing(cutmix_prob=0.5),
        eval_transform=EvalTransform(image_size=16, crop_pct=1.0, interpolation="bilinear"),
        training=TrainingSettings(
            epochs=4,
            batch_size=32,
            accumulate=2,
            ema_decay=0.9,
            clip_norm=5.0,
            checkpoint_every_steps=3,
            log_every_steps=2,
        ),
        optimizer=OptimizerSettings(name="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4),
        schedule=ScheduleSettings(name="cosine", warmup_epochs=1),
        seed=6,
        workers=workers,
        out=out,
        resume=True,
        config={"settings": {}},
        fixed={"seed": 6},
        teacher_sizes=(32,),
    )


def count_instead_of_measuring() -> None:
    """Let all evaluations but the last be the best so far: which accuracy is one hangs on the processor."""
    real = Position.count_evaluation

    def counted(self: Position, result: Metrics) -> bool:
        top1 = (10.0, 20.0, 30.0, 25.0)[self.step // 8 - 1]
        return real(self, replace(result, values={**result.values, "top1": top1}))

    Position.count_evaluation = counted  # type: ignore[method-assign]


def job_of_plan(out: Path, stop: StopRequest) -> TrainJob:
    """The run of the recipe that ``--plan`` names."""
    assert PLAN is not None
    document = json.loads(PLAN.read_text())
    given = {path: Given(value, "test") for path, value in document["given"].items()}
    plan = resolve(document["recipe"], given=given, variants=tuple(document["variants"]))
    return build_job(plan, out=out, resume=True, trust_teacher=True, processes=CPU, stop=stop)


def die() -> None:
    """Send the signal to this very process."""
    os.kill(os.getpid(), SIGNAL)


class Countdown:
    """Dies at the N-th call."""

    def __init__(self, count: int, act: Callable[[], None] = die) -> None:
        self.left, self.act = count, act

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


def before(module: Any, name: str, tick: Countdown) -> None:
    """Let ``tick`` run before every call of a function; the function itself stays the real one."""
    real = getattr(module, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tick()
        return real(*args, **kwargs)

    setattr(module, name, wrapped)


def arm(place: str) -> None:
    """Arrange that this process dies at ``place``."""
    name, _, count = place.partition(":")
    number = int(count)
    if name == "step":  # inside an epoch, before a step
        before(loop, "run_phases", Countdown(number))
    elif name == "between_phases":  # one optimiser of the step has moved, the other has not
        before(phases, "run_phase", Countdown(2 * number))
    elif name == "checkpoint_half_written":
        real = checkpoint.write_state

        def half() -> None:
            path = Path(sys.argv[1]) / "checkpoints" / ".half"
            real(path, {"w": torch.zeros(1000)})
            content = path.read_bytes()
            path.unlink()
            target = Path(sys.argv[1]) / "checkpoints" / ".step-000000099.safetensors.tmp"
            target.write_bytes(content[: len(content) // 2])
            die()

        before(checkpoint, "write_state", Countdown(number, half))
    elif name == "before_digest":
        before(checkpoint, "sha256_of", Countdown(number))
    elif name == "before_best":
        before(checkpoint, "keep_as_best", Countdown(number))
    elif name == "evaluation":
        left = Countdown(number)
        before(scoring, "rank_classes", left)  # of classes
        before(regression, "angular_errors", left)  # of a gaze
        before(multilabel, "precisions", left)  # of several classes
    elif name == "inside_a_log_line":
        real_write = metrics.JsonLines.write

        def cut(self: metrics.JsonLines, line: dict[str, Any]) -> None:
            self._file.append(b'{"kind": "tr')
            die()

        state = {"left": number}

        def write(self: metrics.JsonLines, line: dict[str, Any]) -> None:
            state["left"] -= 1
            (cut if state["left"] == 0 else real_write)(self, line)

        metrics.JsonLines.write = write  # type: ignore[method-assign]
    elif name == "export":
        before(loop, "save_model", Countdown(number))
    else:
        raise SystemExit(f"unknown place {place}")


def live(out: Path, workers: int, place: str | None) -> int:
    """One process's life; returns how it ended, as from waitpid."""
    child = os.fork()
    if child == 0:
        if place is not None:
            arm(place)
        code = 1
        try:
            with StopRequest() as stop:
                job = make_job(out, workers) if PLAN is None else job_of_plan(out, stop)
                loop.train(job, CPU, stop)
            code = 0
        except Interrupted:
            code = 130
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Kill at each place in turn, then run to the end."""
    global SIGNAL, PLAN
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    for option in set(sys.argv[1:]) - set(arguments):
        name, _, value = option.partition("=")
        if name == "--term":
            SIGNAL = signal.SIGTERM
        elif name == "--plan":
            PLAN = Path(value)
    out, workers, places = Path(arguments[0]), int(arguments[1]), arguments[2:]
    for place in places if "--leave" in sys.argv else [*places, None]:
        status = live(out, workers, place)
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        print(f"{place or 'end'} {how}", flush=True)


if __name__ == "__main__":
    main()
