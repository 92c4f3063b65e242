"""The papers' further networks answer to timm's interface as its own do."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import kdzoo.zoo.networks  # noqa: F401

SMALL = [
    ("cifar_pyramidnet200_a240", {"depth": 11, "alpha": 12}, (3, 32, 32)),
    ("cifar_pyramidnet272_a200", {"depth": 11, "alpha": 12}, (3, 32, 32)),
    ("cifar_binary_resnet18", {"blocks": 1, "widths": (8, 8, 16)}, (3, 32, 32)),
    ("cifar_preact_resnet18", {"blocks": 1, "widths": (8, 8, 16)}, (3, 32, 32)),
    ("cifar_preact_resnet110", {"blocks": 1}, (3, 32, 32)),
    ("class_discriminator", {"widths": (3, 8, 8)}, (3, 32, 32)),
    ("gaze_lenet", {}, (1, 36, 60)),
    ("gaze_preact_resnet8", {}, (1, 36, 60)),
]


@pytest.mark.parametrize(("name", "arguments", "size"), SMALL, ids=[row[0] for row in SMALL])
def test_timms_interface(name: str, arguments: dict[str, object], size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, **arguments).eval()
    assert network.pretrained_cfg["input_size"] == size
    assert network.pretrained_cfg["num_classes"] == network.num_classes
    images = torch.rand(2, *size)
    with torch.no_grad():
        maps = network.forward_features(images)
        pooled = network.forward_head(maps, pre_logits=True)
        logits = network(images)
    assert pooled.shape == (2, network.num_features)
    assert network.head_hidden_size == network.num_features
    assert logits.shape == (2, network.num_classes)
    torch.testing.assert_close(network.get_classifier()(pooled), logits)
    network.reset_classifier(7)
    assert network.num_classes == 7
    assert network(images).shape == (2, 7)
    network.reset_classifier(0)
    assert isinstance(network.get_classifier(), nn.Identity)
    torch.testing.assert_close(network(images), pooled)


@pytest.mark.parametrize(("name", "arguments", "size"), SMALL, ids=[row[0] for row in SMALL])
def test_every_parameter_learns_and_both_modes_agree_with_a_reload(
    name: str, arguments: dict[str, object], size: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, **arguments)
    network(torch.rand(4, *size)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    twin = timm.create_model(name, **arguments)
    twin.load_state_dict(network.state_dict())
    images = torch.rand(2, *size)
    assert torch.equal(twin.eval()(images), network.eval()(images))


@pytest.mark.parametrize("name", ["cifar_pyramidnet200_a240", "cifar_binary_resnet18", "cifar_preact_resnet18"])
def test_feature_extraction_gives_the_stages(name: str) -> None:
    arguments = next(a for n, a, _ in SMALL if n == name)
    network = timm.create_model(name, features_only=True, **arguments)
    maps = network(torch.rand(1, 3, 32, 32))
    assert [m.shape[1] for m in maps] == network.feature_info.channels()
    assert [m.shape[2] for m in maps] == [32 // r for r in network.feature_info.reduction()]
