"""The binary ResNet-18: what its weights become, which gradient they get, how large it is."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

import kdzoo.zoo.networks  # noqa: F401
from kdzoo.zoo.networks.binary_resnet import BinaryConv2d, BinaryResNet, binarize


def test_weights_become_the_sign_times_the_filters_mean_magnitude() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    weight[0, 0, 0, 0] = 0.0
    scale = np.abs(weight).mean(axis=(1, 2, 3))
    expected = np.where(weight >= 0, 1, -1) * scale[:, None, None, None]
    result = binarize(torch.tensor(weight))
    np.testing.assert_allclose(result, expected, atol=1e-12)
    # The mean magnitude is the scale with the least squared error.
    for factor in (0.9, 1.1):
        assert ((weight - factor * expected) ** 2).sum() > ((weight - expected) ** 2).sum()


def test_the_gradient_passes_straight_through_within_one_and_the_scale_passes_none() -> None:
    weight = torch.tensor([0.5, -0.5, 1.0, -1.5]).view(1, 4, 1, 1).requires_grad_()
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    (binarize(weight) * upstream).sum().backward()
    scale = (0.5 + 0.5 + 1.0 + 1.5) / 4
    torch.testing.assert_close(weight.grad.flatten(), scale * torch.tensor([1.0, 2.0, 3.0, 0.0]))


def test_inputs_are_clamped_and_checkpoints_keep_real_weights() -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(2, 3, 3, padding=1)
    x = 5 * torch.randn(1, 2, 6, 6)
    expected = nn.functional.conv2d(x.clamp(-2, 2), binarize(conv.weight), conv.bias, padding=1)
    torch.testing.assert_close(conv(x), expected)
    assert conv.state_dict()["weight"].unique().numel() > 6


def test_size_and_which_layers_are_binary() -> None:
    with torch.device("meta"):
        network = timm.create_model("cifar_binary_resnet18")
    # 11,223,972: the same network built by apple/ml-quant, bd7c26c, from its CIFAR-100 configuration.
    assert sum(p.numel() for p in network.parameters()) == 11_223_972
    binary = {name for name, m in network.named_modules() if isinstance(m, BinaryConv2d)}
    assert sum(network.get_submodule(name).weight.numel() for name in binary) == 10_985_472
    assert len(binary) == 16
    assert not {"conv1", "fc"} & binary
    assert not any("shortcut" in name for name in binary)


def test_the_supplements_reading_binarises_shortcuts_too() -> None:
    network = BinaryResNet(1, (4, 4, 8), binary_shortcut=True, num_classes=3)
    binary = [name for name, m in network.named_modules() if isinstance(m, BinaryConv2d)]
    assert [name for name in binary if "shortcut" in name] == ["layer2.0.shortcut.0"]


@pytest.mark.numeric
def test_evaluation_uses_the_current_weights_and_training_moves_them() -> None:
    torch.manual_seed(0)
    network = BinaryResNet(1, (4, 4, 8), num_classes=3)
    x, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 3
    before = network.eval()(x)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    network.train()
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]  # it is halved after 5 of the 15 steps, and ends at a thousandth
    conv = network.layer1[0].conv1
    magnitudes = binarize(conv.weight).abs().flatten(1)
    torch.testing.assert_close(magnitudes.mean(dim=1), conv.weight.abs().mean(dim=(1, 2, 3)))
    assert not torch.allclose(network.eval()(x), before)
