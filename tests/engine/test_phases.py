"""Accumulation, precision, phases that keep to their own parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.run_documents import read_lines
from kdzoo.data import ArraySource, open_source
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, ParameterGroup, Phase, StepView, student_group
from kdzoo.engine.settings import OptimizerSettings
from kdzoo.engine.signals import StopRequest
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))
MakeJob = Callable[..., TrainJob]


def _train(job: TrainJob) -> list[dict]:
    with StopRequest() as stop:
        train(job, CPU, stop)
    return [line for line in read_lines(job.out / "metrics.jsonl")[0] if line["kind"] == "train"]


def _frozen_norms() -> object:
    student = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=0)
    for module in student.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
            module.training = False
    return student


@pytest.mark.numeric
def test_accumulated_parts_give_the_whole_batchs_step(make_job: MakeJob, tmp_path: Path) -> None:
    """Without batch statistics, four parts of a batch are the batch."""
    weights = []
    for parts in (1, 4):
        job = make_job(student=_frozen_norms(), out=tmp_path / str(parts))
        _train(replace(job, training=replace(job.training, accumulate=parts)))
        weights.append([parameter.detach().clone() for parameter in job.student.model.parameters()])
    for whole, accumulated in zip(*weights, strict=True):
        torch.testing.assert_close(whole, accumulated, rtol=1e-3, atol=1e-5)


def _few_images() -> ArraySource:
    """Two batches of 16: float16 is slow on a CPU."""
    source = open_source("digits", "train")
    pixels = np.stack([np.asarray(source.load(index)) for index in range(32)])
    names = [source.identity(index) for index in range(32)]
    return ArraySource("digits", "train", source.class_names, source.labels[:32].copy(), pixels, names)


@pytest.mark.numeric
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_train(make_job: MakeJob, precision: str, tmp_path: Path) -> None:
    lines = []
    for name in ("fp32", precision):
        job = make_job(train_source=_few_images(), val_source=_few_images(), out=tmp_path / name)
        training = replace(job.training, precision=name, batch_size=16, log_every_steps=1)
        lines.append(_train(replace(job, training=training)))
    exact, rough = lines
    assert rough[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.05)
    assert rough[-1]["loss"] != exact[-1]["loss"]


def test_clipping_is_logged_and_bounds_the_update(make_job: MakeJob) -> None:
    job = make_job(optimizer=OptimizerSettings(name="sgd", lr=1.0, momentum=0.0, weight_decay=0.0))
    before = [parameter.detach().clone() for parameter in job.student.model.parameters()]
    training = replace(job.training, clip_norm=1e-3, log_every_steps=1)
    lines = _train(replace(job, training=training))
    moved = torch.stack([(a - b).norm() for a, b in zip(job.student.model.parameters(), before, strict=True)]).norm()
    assert lines[0]["grad_norm"] > 1e-3
    assert moved <= 1e-3 * len(lines) * 1.001


class _TwoPhases(Objective):
    """A critic and a student; the critic's loss reaches into the student, which must not feel it."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(64, 1)
        self.student_before: list[Tensor] = []
        self.leaks = 0

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        slow = OptimizerSettings(name="adam", lr=1e-3, momentum=0.9, weight_decay=0.0)
        self.watched = list(student.parameters())
        critic = ParameterGroup("critic", list(self.critic.named_parameters()))
        return (Phase("critic", (critic,), optimizer=slow), Phase("student", (student_group(student),)))

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        if phase == "critic":
            self.student_before = [parameter.detach().clone() for parameter in self.watched]
            return {"critic": self.critic(step.student().features).square().mean() + 1.0}
        pairs = zip(self.student_before, self.watched, strict=True)
        self.leaks += sum(not torch.equal(before, now) for before, now in pairs)
        self.leaks += sum(parameter.grad is not None for parameter in self.watched)
        return {"student": nn.functional.cross_entropy(step.student().logits, step.labels)}


def test_a_phase_moves_only_its_own_parameters(make_job: MakeJob) -> None:
    objective = _TwoPhases()
    before = objective.critic.weight.detach().clone()
    lines = _train(make_job(objective=objective))
    assert objective.leaks == 0
    assert not torch.equal(objective.critic.weight, before)
    assert {"critic/critic", "student/student", "critic/lr", "student/lr", "loss"} <= set(lines[0])
    assert lines[0]["critic/lr"] == 1e-3
    assert lines[0]["student/lr"] == 0.05


@pytest.mark.slow
def test_a_compiled_student_gives_the_same_losses(make_job: MakeJob, tmp_path: Path) -> None:
    plain = _train(make_job(out=tmp_path / "plain"))
    job = make_job()
    compiled = _train(replace(job, training=replace(job.training, compile=True)))
    assert [line["loss"] for line in compiled] == pytest.approx([line["loss"] for line in plain], rel=1e-3)
