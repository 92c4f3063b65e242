"""What a dry run says of a plan's cost."""

import json

import pytest
import torch
from torch import nn

from kdzoo.base.run_documents import TrainResult
from kdzoo.planning.cost import count, estimate
from kdzoo.planning.models import student_of
from kdzoo.planning.resolution import resolve
from kdzoo.zoo import load_model

from .conftest import small_plan


def test_flops_are_twice_the_multiply_accumulates():
    loaded = load_model("cifar_resnet8", num_classes=10)
    total = 0

    def add(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        kernel = module.weight[0].numel()
        total += output.numel() * kernel

    for module in loaded.model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    found = count(loaded, 32)
    assert found.macs == total
    assert found.flops == 2 * found.macs
    assert found.parameters == sum(p.numel() for p in loaded.model.parameters())


def test_a_plan_that_can_run_is_measured_and_that_leaves_no_trace_in_the_run(teacher: TrainResult):
    plan = small_plan("meal_v2", "small_images", teachers__models=(teacher.model,), training__epochs=3)
    before = torch.get_rng_state()
    cost = estimate(plan)
    assert torch.equal(before, torch.get_rng_state())
    assert (cost.num_images, cost.steps_per_epoch, cost.total_steps) == (1437, 5, 15)
    assert cost.measurement.images_per_s > 0
    assert cost.measurement.decode_images_per_s > 0
    rate = min(cost.measurement.images_per_s, cost.measurement.decode_images_per_s)
    assert cost.seconds == pytest.approx(15 * 256 / rate)
    weights = 4 * cost.student.parameters
    assert 2 * weights < cost.checkpoint_bytes < 2.1 * weights
    assert cost.missing == ()
    json.dumps(cost.to_dict())
    fresh = student_of(plan, 10).model.state_dict()
    again = student_of(plan, 10).model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in fresh.items())


def test_the_papers_run_is_counted_without_its_data_and_weights(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    cost = estimate(resolve("meal_v2"), measure=False)
    assert cost.student.parameters == 25_557_032
    assert cost.student.macs == pytest.approx(4.09e9, rel=0.01)
    assert [teacher.parameters for teacher in cost.teachers] == [115_088_984, 60_316_584]
    assert (cost.steps_per_epoch, cost.total_steps) == (2502, 450_360)
    assert "KDZOO_DATA" in cost.missing[0]
    assert cost.measurement is None
