"""A loss that explodes stops the run with the way out; one that recovers does not, nor do losses of other kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from kdzoo.base.errors import DivergedError
from kdzoo.base.metrics import ANGULAR_ERROR, TOP1, Metrics
from kdzoo.engine.distributed import Processes
from kdzoo.engine.divergence import FACTOR, STEPS, LossGuard
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.position import Position
from kdzoo.engine.result_warnings import result_warnings
from kdzoo.engine.settings import OptimizerSettings, TrainingSettings
from kdzoo.engine.signals import StopRequest

CPU = Processes(0, 1, torch.device("cpu"))
TRAINING = TrainingSettings(epochs=1, batch_size=64)


def guard(*names: str, num_classes: int | None = 10) -> LossGuard:
    phases: list[Any] = [
        SimpleNamespace(phase=SimpleNamespace(name=name), base_lr=1.0, updater=SimpleNamespace()) for name in names
    ]
    return LossGuard(phases, TRAINING, num_classes)


def steps_until_stopped(one: LossGuard, losses: list[float], term: str = "hard_label") -> int | None:
    at = Position()
    for loss in losses:
        try:
            one.look({term: loss, "grad_norm": 1e9}, at)
        except DivergedError:
            return at.step + 1
        at.step += 1
    return None


def test_a_rate_far_too_high_stops_a_real_run(make_job: Callable[..., TrainJob]) -> None:
    training = TrainingSettings(epochs=8, batch_size=256, precision="fp32", evaluate_every_epochs=0)
    job = make_job(training=training, optimizer=OptimizerSettings(name="sgd", lr=50.0, momentum=0.9, weight_decay=0.0))
    with StopRequest() as stop, pytest.raises(DivergedError, match=r"the loss exploded|became") as caught:
        train(job, CPU, stop)
    assert "--set optimizer.lr=5" in str(caught.value.hint)
    assert not (job.out / "result.json").exists()


def test_it_stops_after_a_row_of_steps_far_above_the_beginning_and_not_before() -> None:
    bad = [2.3, *[FACTOR * 2.31] * STEPS]
    assert steps_until_stopped(guard("student"), bad) == STEPS + 1
    assert steps_until_stopped(guard("student"), bad[:-1]) is None
    recovering = [2.3, *([1e4] * (STEPS - 1) + [20.0]) * 3]
    assert steps_until_stopped(guard("student"), recovering) is None


@pytest.mark.parametrize(
    "losses",
    [
        [1e5, *[9e4] * 100],  # a loss with a large scale that begins where it stays
        [1e-4, *[10.0] * 100],  # a student that begins at its teacher's answers
        [2.3, *(2.3 - 0.02 * step for step in range(100))],
    ],
)
def test_losses_of_other_scales_go_on(losses: list[float]) -> None:
    assert steps_until_stopped(guard("student"), losses) is None


def test_the_students_phase_alone_counts() -> None:
    bad = [1.0, *[1e6] * 100]
    assert steps_until_stopped(guard("critic", "student"), bad, "critic/loss") is None
    assert steps_until_stopped(guard("critic", "student"), bad, "student/loss") is not None
    assert steps_until_stopped(guard("discriminator", "generator"), bad, "generator/loss") is None
    assert steps_until_stopped(guard("student", num_classes=None), bad) is None


def test_a_resumed_run_stops_at_the_same_step() -> None:
    one, at = guard("student"), Position()
    for loss in [2.3, *[1e4] * (STEPS - 1)]:
        one.look({"loss": loss}, at)
        at.step += 1
    again = Position.from_dict({**vars(at)})
    with pytest.raises(DivergedError):
        guard("student").look({"loss": 1e4}, again)


def test_the_way_out_names_what_is_likely() -> None:
    phases: list[Any] = [SimpleNamespace(phase=SimpleNamespace(name="student"), base_lr=0.4, updater=SimpleNamespace())]
    LossGuard(phases, replace(TRAINING, batch_size=8, precision="fp16"), 10)
    hint = phases[0].updater.if_diverged
    for words in ("optimizer.lr=0.04", "clip_norm", "larger --batch-size", "bf16"):
        assert words in hint


def top1(value: float, count: int) -> Metrics:
    return Metrics(TOP1, {"top1": value, "top5": 100.0, "loss": 1.0}, count)


EVEN = np.repeat(np.arange(10), 36)
ONE_IS_COMMON = np.array([0] * 300 + [1, 2, 3, 4] * 15)


def reports(**scores: float) -> list[dict[str, Any]]:
    return [{"reference": name, "top1": score, "num_images": 360} for name, score in scores.items()]


@pytest.mark.parametrize(
    ("value", "labels", "classes", "teachers", "words"),
    [
        (8.33, EVEN, 10, {}, ["is near chance: 8.3 % of 360 images, where guessing among 10 classes gives 10.0 %"]),
        (14.0, EVEN, 10, {}, ["near chance"]),
        (
            100.0,
            np.array([0, 1]),
            2,
            {},
            ["2 held-out images are too few to tell a result from guessing among 2"],
        ),
        (15.5, EVEN, 10, {}, []),
        (83.3, ONE_IS_COMMON, 5, {}, ["no better than always answering the commonest class (83.3 %"]),
        (90.0, ONE_IS_COMMON, 5, {}, []),
        (60.0, EVEN, 10, {"t": 90.0, "ensemble": 90.0}, ["is far below where its teachers were before it began"]),
        (75.0, EVEN, 10, {"t": 90.0, "ensemble": 90.0}, []),
        (
            90.0,
            ONE_IS_COMMON,
            5,
            {"t": 40.0, "u": 95.0, "ensemble": 95.0},
            ["teacher t is worse than always answering"],
        ),
    ],
)
def test_what_a_reader_must_know_is_said_where_it_is_true(
    value: float, labels: np.ndarray, classes: int, teachers: dict[str, float], words: list[str]
) -> None:
    found = result_warnings(top1(value, len(labels)), labels, classes, reports(**teachers))
    assert len(found) == len(words), found
    for sentence, part in zip(found, words, strict=True):
        assert part in sentence


def test_a_gaze_has_no_chance_to_be_near() -> None:
    metrics = Metrics(ANGULAR_ERROR, {"angular_error": 30.0, "angular_spread": 1.0, "loss": 1.0}, 16)
    assert result_warnings(metrics, np.zeros(16, dtype=np.int64), 2, ()) == ()
    assert math.isfinite(metrics.value)
