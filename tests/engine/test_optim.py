"""Parameter groups: scales, decay rules, order."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from kdzoo.base.errors import ModelError
from kdzoo.engine.objective import ParameterGroup, Phase, student_group
from kdzoo.engine.optim import build_optimizer, layer_scales, load_optimizer, set_lr
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


@pytest.mark.parametrize(("saved", "own"), [(None, True), (True, None)])
def test_a_state_from_another_device_has_this_ones_kernels_and_the_weights_layout(
    saved: bool | None, own: bool | None
) -> None:
    """A fused kernel takes moments laid out as their weights only; a checkpoint keeps no layout."""
    layers = [nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    before, after = (
        torch.optim.Adam(layer.parameters(), lr=0.1, fused=fused)
        for layer, fused in zip(layers, (saved, own), strict=True)
    )

    def step(layer: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
        layer(images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    step(layers[0], before, 0)
    layers[1].load_state_dict(layers[0].state_dict())
    state = before.state_dict()
    contiguous = {
        index: {name: value.clone(memory_format=torch.contiguous_format) for name, value in moments.items()}
        for index, moments in state["state"].items()
    }
    load_optimizer(after, {**state, "state": contiguous})
    assert [group["fused"] for group in after.param_groups] == [own]
    moments = after.state[layers[1].weight]
    assert moments["exp_avg"].stride() == layers[1].weight.stride() != moments["exp_avg"].contiguous().stride()
    for layer, optimizer in zip(layers, (before, after), strict=True):
        step(layer, optimizer, 1)
    torch.testing.assert_close(layers[1].weight, layers[0].weight)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_layer_decay_is_timms(name: str) -> None:
    student = timm.create_model(name)
    settings = OptimizerSettings(name="sgd", lr=1.0, momentum=0.9, weight_decay=0.0, layer_decay=0.7)
    optimizer = build_optimizer(Phase("student", (student_group(student),)), settings, layer_scales(student, settings))
    own = {id(parameter): group["lr_scale"] for group in optimizer.param_groups for parameter in group["params"]}
    theirs = param_groups_layer_decay(student, weight_decay=0.0, layer_decay=0.7)
    assert own == {id(parameter): group["lr_scale"] for group in theirs for parameter in group["params"]}
    assert len(set(own.values())) > 3


def test_a_network_without_layers_takes_no_layer_decay() -> None:
    settings = OptimizerSettings(name="sgd", lr=1.0, momentum=0.9, weight_decay=0.0, layer_decay=0.7)
    with pytest.raises(ModelError, match="does not say which layers"):
        layer_scales(nn.Linear(2, 2), settings)
