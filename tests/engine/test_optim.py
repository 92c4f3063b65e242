"""Parameter groups: scales, decay rules, order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdzoo.engine.objective import ParameterGroup, Phase, student_group
from kdzoo.engine.optim import build_optimizer, set_lr
from kdzoo.engine.settings import OptimizerSettings

SGD = OptimizerSettings(name="sgd", lr=0.1, momentum=0.9, weight_decay=1e-4)


def test_norms_and_biases_are_decayed_only_where_asked() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    phase = Phase("student", [student_group(model)])
    assert [group["weight_decay"] for group in build_optimizer(phase, SGD).param_groups] == [1e-4]
    spared = OptimizerSettings(name="sgd", lr=0.1, momentum=0.9, weight_decay=1e-4, decay_norm_and_bias=False)
    groups = build_optimizer(phase, spared).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 1e-4), (3, 0.0)]


def test_a_groups_scale_follows_the_schedule() -> None:
    head, body = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = [ParameterGroup("head", list(head.named_parameters()), lr_scale=10.0), student_group(body)]
    optimizer = build_optimizer(Phase("student", groups), SGD)
    set_lr(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_optimiser_is_torchs_own(name: str, kind: type) -> None:
    settings = OptimizerSettings(name=name, lr=0.1, momentum=0.8, weight_decay=0.0, beta2=0.95)
    optimizer = build_optimizer(Phase("student", [student_group(nn.Linear(2, 2))]), settings)
    assert type(optimizer) is kind
    if name != "sgd":
        assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)


def test_a_frozen_parameter_is_left_out() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert [name for name, _ in student_group(model).parameters] == ["weight"]
