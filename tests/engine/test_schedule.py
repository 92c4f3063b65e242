"""Schedules against torch's own schedulers and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from kdzoo.engine.schedule import lr_factor
from kdzoo.engine.settings import ScheduleSettings


def _factors(schedule: ScheduleSettings, steps_per_epoch: int, epochs: int) -> list[float]:
    return [lr_factor(schedule, step, steps_per_epoch, epochs) for step in range(steps_per_epoch * epochs)]


def _torch_factors(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_milestones_equal_torch() -> None:
    schedule = ScheduleSettings(name="milestones", milestones=(2, 5), gamma=0.1)
    expected = _torch_factors(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 5], 0.1), 7)
    assert _factors(schedule, 3, 7)[::3] == pytest.approx(expected)


def test_cosine_equals_torch() -> None:
    schedule = ScheduleSettings(name="cosine")
    expected = _torch_factors(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 20)
    assert _factors(schedule, 4, 5) == pytest.approx(expected)


def test_exponential_in_steps_of_a_period() -> None:
    schedule = ScheduleSettings(name="exponential", gamma=0.97, period_epochs=2.4)
    factors = _factors(schedule, 10, 10)
    assert factors[23] == 1.0
    assert factors[24] == pytest.approx(0.97)
    assert factors[99] == pytest.approx(0.97**4)


def test_warm_up_rises_to_the_base_rate_then_the_cosine_spans_the_rest() -> None:
    schedule = ScheduleSettings(name="cosine", warmup_epochs=2, warmup_start=0.25)
    factors = _factors(schedule, 4, 6)
    assert factors[0] == 0.25
    assert factors[4] == pytest.approx(0.625)
    assert factors[8] == 1.0
    assert factors[16] == pytest.approx(0.5)
    assert factors[23] == pytest.approx(0.5 * (1 + math.cos(math.pi * 15 / 16)))


def test_a_cosine_by_epochs_is_flat_inside_an_epoch() -> None:
    factors = _factors(ScheduleSettings(name="cosine", update="epoch"), 5, 4)
    assert len(set(factors[:5])) == 1
    assert factors[5] < factors[4]


def test_cosine_and_milestones_together_equal_both_of_torchs_schedulers_stepped_each_epoch() -> None:
    schedule = ScheduleSettings(name="cosine_milestones", milestones=(4, 8), gamma=0.1, update="epoch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    drops = torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.1)
    expected = []
    for _ in range(10):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
        drops.step()
    assert _factors(schedule, 2, 10)[::2] == pytest.approx(expected)
