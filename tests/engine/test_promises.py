"""What a run promises at its end and in its records, tried on a real run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.errors import TeacherError
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, Phase, StepView, student_group
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))
MakeJob = Callable[..., TrainJob]


class _MovesItsTeacher(Objective):
    """Learns from a teacher and writes into the teacher's weights, as a careless loss could."""

    def __init__(self, teachers: TeacherEnsemble) -> None:
        super().__init__()
        self._teachers = teachers

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        with torch.no_grad():
            next(self._teachers.members[0].model.parameters()).mul_(1.0001)
        return {"soft": nn.functional.mse_loss(step.student().logits, step.teachers().logits[0])}


def _train(job: TrainJob) -> None:
    with StopRequest() as stop:
        train(job, CPU, stop)


def test_a_teacher_that_changed_during_the_run_leaves_no_result(make_job: MakeJob) -> None:
    teacher = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    teachers = TeacherEnsemble([teacher], CPU.device)
    job = make_job(teachers=teachers, objective=_MovesItsTeacher(teachers))
    with pytest.raises(TeacherError, match="changed during the run"):
        _train(job)
    assert not (job.out / "result.json").exists()
    assert not (job.out / "model").exists()


def test_no_secret_of_the_command_line_is_kept(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of an address, in any file of the run."""
    secrets = ("hf_AbCdEfGhIjKlMn", "plain-word", "p4ss")
    command = ["kdzoo", "train", f"--token={secrets[0]}", "--api-key", secrets[1], f"https://me:{secrets[2]}@host/x"]
    monkeypatch.setattr(sys, "argv", command)
    job = make_job()
    _train(job)
    written = [path for path in job.out.rglob("*") if path.is_file()]
    assert Path(job.out / "environment.json") in written
    assert "kdzoo" in (job.out / "environment.json").read_text()
    assert [path for path in written if any(secret.encode() in path.read_bytes() for secret in secrets)] == []
