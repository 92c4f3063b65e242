"""The input distiller's published sizes, its shape and what it adds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kdzoo.recipes.objectives.input_distiller import (
    InputDistiller,
    published_distiller,
    published_width,
)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_are_the_published_ones() -> None:
    assert (published_width(240), published_width(224)) == (68, 73)
    assert count(published_distiller("notebook", 240)) == 3_662_851
    assert count(published_distiller("notebook", 224)) == 3_805_981
    assert count(published_distiller("repository", 240)) == 8_385_539


def test_feature_maps_have_the_sizes_that_the_notebook_prints() -> None:
    torch.manual_seed(0)
    network = published_distiller("notebook", 240)
    seen = []
    for block in network.encoder:
        block.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network.encoder(torch.zeros(1, 3, 48, 48))
    assert seen == [(68, 48, 48), (136, 24, 24), (256, 12, 12), (256, 6, 6)]


def test_forward_adds_the_residual_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = InputDistiller(4, max_width=8, num_bottom_blocks=1)
    images = torch.randn(2, 3, 16, 24, requires_grad=True)
    out = network(images)
    torch.testing.assert_close(out, images + network.residual(images))
    out.square().sum().backward()
    # A bias in front of a plain instance norm is subtracted again: conv1's biases in front of norm2 cannot matter.
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-6}
    still = {name for name, _ in network.named_parameters()} - moved
    assert all(name.endswith("conv1.bias") for name in still), still
    assert images.grad.abs().sum() > 0


def test_tanh_bounds_the_residual() -> None:
    torch.manual_seed(0)
    network = InputDistiller(4, max_width=8, tanh=True)
    assert network.residual(100 * torch.randn(1, 3, 16, 16)).abs().max() <= 1.0


def test_a_block_equals_the_formula() -> None:
    torch.manual_seed(0)
    block = InputDistiller(4, max_width=8, num_halvings=1).encoder[1].double()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)

    def norm(v: torch.Tensor) -> torch.Tensor:
        mean, variance = v.mean(dim=(2, 3), keepdim=True), v.var(dim=(2, 3), unbiased=False, keepdim=True)
        return (v - mean) / (variance + 1e-5).sqrt()

    def leaky(v: torch.Tensor) -> torch.Tensor:
        return torch.where(v > 0, v, 0.2 * v)

    def halve(v: torch.Tensor) -> torch.Tensor:
        return (v[..., ::2, ::2] + v[..., 1::2, ::2] + v[..., ::2, 1::2] + v[..., 1::2, 1::2]) / 4

    expected = halve(block.conv1(leaky(norm(x))))
    expected = (block.conv2(leaky(norm(expected))) + halve(block.shortcut(x))) / math.sqrt(2)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-10)


def test_images_are_told_apart_and_odd_sizes_refused() -> None:
    torch.manual_seed(0)
    network = InputDistiller(4, max_width=8)
    images = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="divisible by 8"):
        network(torch.zeros(1, 3, 20, 16))
