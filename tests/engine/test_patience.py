"""A run that gets no better ends early, and stays ended when it is resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import Tensor, nn

from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, StepView
from kdzoo.engine.run_folder import RunFolder
from kdzoo.engine.signals import StopRequest

from .conftest import CPU

MakeJob = Callable[..., TrainJob]


class NothingToLearn(Objective):
    """A loss without a gradient, and a student that keeps its statistics."""

    def set_modes(self, student: nn.Module) -> None:
        student.eval()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        return {"nothing": step.student().logits.sum() * 0}


@pytest.mark.parametrize(("patience", "epochs"), [(0, 5), (2, 3), (9, 5)])
def test_a_run_ends_when_its_patience_does(
    make_job: MakeJob, patience: int, epochs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    job = make_job(objective=NothingToLearn(), epochs=5)
    job = replace(job, training=replace(job.training, patience=patience))
    result = train(job, CPU, StopRequest())
    assert result.epochs == epochs
    assert ("stopped early" in capsys.readouterr().err) == (epochs < 5)
    log = RunFolder(job.out).metrics.read_bytes()
    RunFolder(job.out).result.unlink()
    assert train(replace(job, resume=True), CPU, StopRequest()).metrics == result.metrics
    assert RunFolder(job.out).metrics.read_bytes() == log
