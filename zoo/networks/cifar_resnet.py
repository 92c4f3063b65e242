"""Residual networks for 32x32 images.

- He et al., "Deep Residual Learning for Image Recognition", 2016, arXiv 1512.03385, §4.2: a 3x3 stem, three stages of n
  basic blocks with 16, 32 and 64 channels, global pooling; depth 6n + 2. The paper's shortcuts pad with zeros where the
  width changes; the default here is a projection, as in the distillation literature (Tian et al., "Contrastive
  Representation Distillation", 2020, arXiv 1910.10699, whose resnet8x4 and resnet32x4 are four times as wide behind a
  32-channel stem). ``shortcut="padding"`` gives the paper's.
- ``cifar_resnet18``: ImageNet's ResNet-18 with a 3x3 stem of stride 1 and no pooling after it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from .small_image import SmallImageNet, cifar_default_cfgs, register


class PaddedShortcut(nn.Module):
    """A shortcut without parameters: every second pixel, and zeros for the channels that are new."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = new_channels // 2
        self.after = new_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + new_channels, H / stride, W / stride)."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm around a shortcut; ReLU after the sum."""

    def __init__(self, channels_in: int, channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            if shortcut == "projection":
                self.downsample = nn.Sequential(
                    nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                )
            else:
                self.downsample = PaddedShortcut(stride, channels - channels_in)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.act2(x + shortcut)


class CifarResNet(SmallImageNet):
    """A residual network for small images.

    Args:
        blocks: Basic blocks in each stage.
        widths: Channels of the stem, then of each stage; every stage but the first halves the resolution.
        shortcut: What a shortcut does where the shape changes.
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: tuple[int, ...],
        *,
        shortcut: Literal["projection", "padding"] = "projection",
        **head: Any,
    ) -> None:
        super().__init__(widths[-1], **head)
        if shortcut not in ("projection", "padding"):
            raise ValueError(f"shortcut must be 'projection' or 'padding', got {shortcut!r}")
        self.conv1 = nn.Conv2d(self.in_chans, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = nn.ReLU(inplace=True)
        self.add_stages(widths[0], widths[1:], blocks, partial(BasicBlock, shortcut=shortcut))
        self.build_head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's output."""
        return self.forward_stages(self.act1(self.bn1(self.conv1(x))))


_THIN, _WIDE = (16, 16, 32, 64), (32, 64, 128, 256)
_DEPTHS = {  # 6n + 2
    "cifar_resnet8": ("ResNet-8: 0.08 M parameters.", {"blocks": 1, "widths": _THIN}),
    "cifar_resnet14": ("ResNet-14: 0.18 M parameters.", {"blocks": 2, "widths": _THIN}),
    "cifar_resnet20": ("ResNet-20: 0.27 M parameters.", {"blocks": 3, "widths": _THIN}),
    "cifar_resnet32": ("ResNet-32: 0.47 M parameters.", {"blocks": 5, "widths": _THIN}),
    "cifar_resnet44": ("ResNet-44: 0.66 M parameters.", {"blocks": 7, "widths": _THIN}),
    "cifar_resnet56": ("ResNet-56: 0.86 M parameters.", {"blocks": 9, "widths": _THIN}),
    "cifar_resnet110": ("ResNet-110: 1.7 M parameters.", {"blocks": 18, "widths": _THIN}),
    "cifar_resnet8x4": ("ResNet-8, four times as wide behind a 32-channel stem.", {"blocks": 1, "widths": _WIDE}),
    "cifar_resnet32x4": ("ResNet-32, four times as wide behind a 32-channel stem.", {"blocks": 5, "widths": _WIDE}),
}
_EIGHTEEN = {
    "cifar_resnet18": (
        "ImageNet's ResNet-18 with a 3x3 stem and no pooling after it: 11.2 M parameters.",
        {"blocks": 2, "widths": (64, 64, 128, 256, 512)},
    )
}
default_cfgs = {**cifar_default_cfgs(_DEPTHS), **cifar_default_cfgs(_EIGHTEEN, pool_size=(4, 4))}
register(__name__, CifarResNet, {**_DEPTHS, **_EIGHTEEN})
