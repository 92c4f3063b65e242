"""A dilated ResNet is mmsegmentation's: against one written down from its description, -D and not, both blocks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdzoo.transfer.backbone import build_backbone
from kdzoo.zoo import load_model

IMAGES = torch.linspace(-2, 2, 2 * 3 * 48 * 72).reshape(2, 3, 48, 72).sin()


class Reference:
    """ResNet as mmsegmentation's configurations for an output stride describe it (contract_dilation, avg_down).

    Args:
        tensors: Weights in timm's names, all of them.
        output_stride: 8 or 16.
    """

    def __init__(self, tensors: Mapping[str, Tensor], output_stride: int) -> None:
        self.tensors, self.output_stride = tensors, output_stride

    def conv_bn(self, x: Tensor, conv: str, norm: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = self.tensors[f"{conv}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=dilation * (weight.shape[2] // 2), dilation=dilation)
        mean, var, scale, shift = (
            self.tensors[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, scale, shift)

    def stem(self, x: Tensor) -> Tensor:
        if "conv1.weight" in self.tensors:
            x = self.conv_bn(x, "conv1", "bn1", stride=2).relu()
        else:
            x = self.conv_bn(x, "conv1.0", "conv1.1", stride=2).relu()
            x = self.conv_bn(x, "conv1.3", "conv1.4").relu()
            x = self.conv_bn(x, "conv1.6", "bn1").relu()
        return F.max_pool2d(x, 3, stride=2, padding=1)

    def block(self, x: Tensor, name: str, stride: int, dilation: int) -> Tensor:
        shortcut = x
        if f"{name}.downsample.1.running_mean" in self.tensors:  # no pool before the convolution
            shortcut = self.conv_bn(x, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)
        elif f"{name}.downsample.1.weight" in self.tensors:
            pooled = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False) if stride == 2 else x
            shortcut = self.conv_bn(pooled, f"{name}.downsample.1", f"{name}.downsample.2")
        if f"{name}.conv3.weight" in self.tensors:
            x = self.conv_bn(x, f"{name}.conv1", f"{name}.bn1").relu()
            x = self.conv_bn(x, f"{name}.conv2", f"{name}.bn2", stride, dilation).relu()
            x = self.conv_bn(x, f"{name}.conv3", f"{name}.bn3")
        else:
            x = self.conv_bn(x, f"{name}.conv1", f"{name}.bn1", stride, dilation).relu()
            x = self.conv_bn(x, f"{name}.conv2", f"{name}.bn2")
        return (x + shortcut).relu()

    def maps(self, x: Tensor) -> list[Tensor]:
        """Of the four stages."""
        x, found = self.stem(x), []
        for stage in range(1, 5):
            dilation = max(1, 2 ** (stage + 1) // self.output_stride)
            blocks = len({name.split(".")[1] for name in self.tensors if name.startswith(f"layer{stage}.")})
            for number in range(blocks):
                first = number == 0
                stride = 2 if first and stage > 1 and dilation == 1 else 1
                rate = dilation // 2 if first and dilation > 1 else dilation
                x = self.block(x, f"layer{stage}.{number}", stride, rate)
            found.append(x)
        return found


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["test_resnet", "resnet18d", "resnet18", "resnet26d"])
def test_maps_are_the_references(name: str, output_stride: int) -> None:
    loaded = load_model(name, pretrained=False, seed=3)
    random = torch.Generator().manual_seed(1)
    for module in loaded.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1, generator=random)  # some start at zero, and would hide a branch
            nn.init.normal_(module.running_mean, 0, 0.1, generator=random)
    reference = Reference({key: value.clone() for key, value in loaded.model.state_dict().items()}, output_stride)
    body = build_backbone(loaded, batchnorm="train", output_stride=output_stride).eval()
    with torch.no_grad():
        for mine, theirs in zip(body(IMAGES), reference.maps(IMAGES), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
