"""Residual networks for 32x32 images.

- He et al., "Deep Residual Learning for Image Recognition", 2016, arXiv 1512.03385, §4.2: a 3x3 stem, three stages of n
  basic blocks with 16, 32 and 64 channels, global pooling; depth 6n + 2. The paper's shortcuts pad with zeros where the
  width changes; the default here is a projection, as in the distillation literature (Tian et al., "Contrastive
  Representation Distillation", 2020, arXiv 1910.10699, whose resnet8x4 and resnet32x4 are four times as wide behind a
  32-channel stem). ``shortcut="padding"`` gives the paper's.
- ``cifar_resnet18``: ImageNet's ResNet-18 with a 3x3 stem of stride 1 and no pooling after it.
"""

from __future__ import annotations

from typing import Any, Literal

from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional

from .small_image import SmallImageNet, build, cifar_default_cfgs

__all__: list[str] = []

default_cfgs = {
    **cifar_default_cfgs(
        [
            "cifar_resnet8",
            "cifar_resnet14",
            "cifar_resnet20",
            "cifar_resnet32",
            "cifar_resnet44",
            "cifar_resnet56",
            "cifar_resnet110",
            "cifar_resnet8x4",
            "cifar_resnet32x4",
        ]
    ),
    **cifar_default_cfgs(["cifar_resnet18"], pool_size=(4, 4)),
}


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
        num_classes, in_chans, global_pool, drop_rate: As in SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: tuple[int, ...],
        *,
        shortcut: Literal["projection", "padding"] = "projection",
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__(
            widths[-1], num_classes=num_classes, in_chans=in_chans, global_pool=global_pool, drop_rate=drop_rate
        )
        if shortcut not in ("projection", "padding"):
            raise ValueError(f"shortcut must be 'projection' or 'padding', got {shortcut!r}")
        self.conv1 = nn.Conv2d(in_chans, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = nn.ReLU(inplace=True)
        self.feature_info = []
        self.stages: list[str] = []
        channels_in, reduction = widths[0], 1
        for stage, channels in enumerate(widths[1:], start=1):
            stride = 1 if stage == 1 else 2
            reduction *= stride
            layers = [
                BasicBlock(channels_in if block == 0 else channels, channels, stride if block == 0 else 1, shortcut)
                for block in range(blocks)
            ]
            name = f"layer{stage}"
            self.add_module(name, nn.Sequential(*layers))
            self.stages.append(name)
            self.feature_info.append({"num_chs": channels, "reduction": reduction, "module": name})
            channels_in = channels
        self.build_head(global_pool)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's output."""
        x = self.act1(self.bn1(self.conv1(x)))
        for name in self.stages:
            x = getattr(self, name)(x)
        return x


def _cifar(name: str, depth: int, pretrained: bool, wider: bool = False, **arguments: Any) -> CifarResNet:
    widths = (32, 64, 128, 256) if wider else (16, 16, 32, 64)
    return build(CifarResNet, name, pretrained, **{"blocks": (depth - 2) // 6, "widths": widths, **arguments})


@register_model
def cifar_resnet8(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-8: 0.08 M parameters."""
    return _cifar("cifar_resnet8", 8, pretrained, **kwargs)


@register_model
def cifar_resnet14(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-14: 0.18 M parameters."""
    return _cifar("cifar_resnet14", 14, pretrained, **kwargs)


@register_model
def cifar_resnet20(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-20: 0.27 M parameters."""
    return _cifar("cifar_resnet20", 20, pretrained, **kwargs)


@register_model
def cifar_resnet32(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-32: 0.47 M parameters."""
    return _cifar("cifar_resnet32", 32, pretrained, **kwargs)


@register_model
def cifar_resnet44(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-44: 0.66 M parameters."""
    return _cifar("cifar_resnet44", 44, pretrained, **kwargs)


@register_model
def cifar_resnet56(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-56: 0.86 M parameters."""
    return _cifar("cifar_resnet56", 56, pretrained, **kwargs)


@register_model
def cifar_resnet110(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-110: 1.7 M parameters."""
    return _cifar("cifar_resnet110", 110, pretrained, **kwargs)


@register_model
def cifar_resnet8x4(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-8, four times as wide behind a 32-channel stem."""
    return _cifar("cifar_resnet8x4", 8, pretrained, wider=True, **kwargs)


@register_model
def cifar_resnet32x4(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-32, four times as wide behind a 32-channel stem."""
    return _cifar("cifar_resnet32x4", 32, pretrained, wider=True, **kwargs)


@register_model
def cifar_resnet18(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ImageNet's ResNet-18 with a 3x3 stem and no pooling after it: 11.2 M parameters."""
    arguments = {"blocks": 2, "widths": (64, 64, 128, 256, 512), **kwargs}
    return build(CifarResNet, "cifar_resnet18", pretrained, **arguments)
