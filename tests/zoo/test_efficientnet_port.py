"""Weights under the common EfficientNet port's key names give timm's tf_efficientnet the same logits as the port's."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model

Tensors = dict[str, Tensor]

# Tan and Le 2019, Table 1: expansion, channels, layers, kernel, stride of each stage.
STAGES = (
    *((1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2)),
    *((6, 112, 3, 5, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1)),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same"."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups)


BatchNorm = partial(nn.BatchNorm2d, eps=1e-3)


class PortBlock(nn.Module):
    """The port's MBConvBlock, with its names."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, *, lite: bool) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands, self.lite, self.skips = expansion != 1, lite, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(inputs, width, 1, bias=False), BatchNorm(width)
        self._depthwise_conv = SameConv(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = BatchNorm(width)
        if not lite:
            squeezed = max(1, int(inputs * 0.25))
            self._se_reduce, self._se_expand = SameConv(width, squeezed, 1), SameConv(squeezed, width, 1)
        self._project_conv, self._bn2 = SameConv(width, outputs, 1, bias=False), BatchNorm(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        act: Callable[[Tensor], Tensor] = F.relu6 if self.lite else F.silu
        x = act(self._bn0(self._expand_conv(inputs))) if self.expands else inputs
        x = act(self._bn1(self._depthwise_conv(x)))
        if not self.lite:
            x = torch.sigmoid(self._se_expand(act(self._se_reduce(x.mean((2, 3), keepdim=True))))) * x
        x = self._bn2(self._project_conv(x))
        return x + inputs if self.skips else x


class Port(nn.Module):
    """The port's EfficientNet: its names and arithmetic, in the widths and depths of b0 to b7 and lite0 to lite4."""

    def __init__(self, width: float, depth: float, *, lite: bool, classes: int = 10) -> None:
        super().__init__()

        def rounded(channels: float) -> int:
            new = max(8, int(channels * width + 4) // 8 * 8)
            return new + 8 if new < 0.9 * channels * width else new

        self.act: Callable[[Tensor], Tensor] = F.relu6 if lite else F.silu
        channels, last = (32, 1280) if lite else (rounded(32), rounded(1280))
        self._conv_stem, self._bn0 = SameConv(3, channels, 3, 2, bias=False), BatchNorm(channels)
        self._blocks = nn.ModuleList()
        for stage, (expansion, outputs, layers, kernel, stride) in enumerate(STAGES):
            kept = lite and stage in (0, len(STAGES) - 1)
            for i in range(layers if kept else math.ceil(layers * depth)):
                wide = rounded(outputs)
                self._blocks.append(PortBlock(channels, wide, expansion, kernel, 1 if i else stride, lite=lite))
                channels = wide
        self._conv_head, self._bn1 = SameConv(channels, last, 1, bias=False), BatchNorm(last)
        self._fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        logits: Tensor = self._fc(self.act(self._bn1(self._conv_head(x))).mean((2, 3)))
        return logits


def port(width: float, depth: float, *, lite: bool) -> nn.Module:
    """A port whose every tensor counts: statistics, scales and biases are not the ones that a new network has."""
    torch.manual_seed(3)
    network = Port(width, depth, lite=lite)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.add_(0.1 * torch.randn_like(tensor))
    return network.eval()


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    return port(1.0, 1.0, lite=True)


NETWORKS = {
    "tf_efficientnet_lite1": (1.0, 1.1, True),
    "tf_efficientnet_b0": (1.0, 1.0, False),
    "tf_efficientnet_b1": (1.0, 1.1, False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_timms_network_gives_the_ports_logits(tmp_path: Path, name: str) -> None:
    width, depth, lite = NETWORKS[name]
    theirs = port(width, depth, lite=lite)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours = load_model(f"{name}={tmp_path / 'w.pth'}")
    images = torch.rand(2, 3, 71, 64)  # odd sides, where one of the paddings differs from the other
    with torch.no_grad():
        assert torch.allclose(ours.model.eval()(images), theirs(images), rtol=1e-4, atol=1e-4)
    assert ours.num_classes == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "depth", "lite"),
    [
        ("b4", 1.4, 1.8, False),
        ("b7", 2.0, 3.1, False),
        ("lite2", 1.1, 1.2, True),
        ("lite4", 1.4, 1.8, True),
    ],
)
def test_the_larger_networks_take_the_ports_weights(
    tmp_path: Path, name: str, width: float, depth: float, lite: bool
) -> None:
    theirs = port(width, depth, lite=lite)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours = load_model(f"tf_efficientnet_{name}={tmp_path / 'w.pth'}")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours.model.eval()(images), theirs(images), rtol=1e-3, atol=1e-3)


def test_a_wrapper_another_class_count_and_a_missing_head(tmp_path: Path, lite0: nn.Module) -> None:
    state = lite0.state_dict()
    wrapped = {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}
    body = {name: tensor for name, tensor in state.items() if not name.startswith("_fc.")}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    torch.save(body, tmp_path / "body.pth")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        same = load_model(f"tf_efficientnet_lite0={tmp_path / 'wrapped.pth'}").model.eval()
        assert torch.allclose(same(images), lite0(images), rtol=1e-4, atol=1e-4)
    for file in ("wrapped.pth", "body.pth"):
        model = load_model(f"tf_efficientnet_lite0={tmp_path / file}", num_classes=4).model
        assert torch.equal(model.state_dict()["blocks.6.0.bn3.running_var"], state["_blocks.15._bn2.running_var"])
        assert model.state_dict()["classifier.weight"].shape == (4, 1280)


def _without(state: Tensors) -> Tensors:
    return {name: tensor for name, tensor in state.items() if name != "_blocks.3._bn1.bias"}


def _deeper(state: Tensors) -> Tensors:
    return {**state, "_blocks.16._bn0.weight": torch.ones(3)}


def _deeper_headless(state: Tensors) -> Tensors:
    return {name: tensor for name, tensor in _deeper(state).items() if not name.startswith("_fc.")}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tf_efficientnet_lite0", _without, r"1 missing \(blocks\.2\.0\.bn2\.bias\)"),
        ("tf_efficientnet_lite0", _deeper, r"1 unexpected \(_blocks\.16\._bn0\.weight"),
        ("tf_efficientnet_lite0", _deeper_headless, r"_blocks\.16\._bn0\.weight"),
        ("tf_efficientnet_b0", dict, r"missing \(blocks\.0\.0\.se\.conv_reduce\.weight"),
        ("efficientnet_lite0", dict, "pads as TensorFlow does, and efficientnet_lite0 pads otherwise"),
        ("resnet18", dict, "does not fit resnet18"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, lite0: nn.Module, name: str, change: Callable[[Tensors], Tensors], message: str
) -> None:
    torch.save(change(lite0.state_dict()), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=message) as caught:
        load_model(f"{name}={tmp_path / 'w.pth'}", num_classes=4)
    if name == "efficientnet_lite0":
        assert "tf_efficientnet_lite0=FILE" in (caught.value.hint or "")
