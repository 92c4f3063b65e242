"""Wide residual networks for 32x32 images.

Zagoruyko and Komodakis, "Wide Residual Networks", 2016, arXiv 1605.07146, §2 and Table 1: WRN-d-k has depth d = 6n + 4,
a 16-channel stem, three stages of n pre-activation blocks with 16k, 32k and 64k channels, and BatchNorm and ReLU last.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional

from .small_image import SmallImageNet, build, cifar_default_cfgs

__all__: list[str] = []

default_cfgs = cifar_default_cfgs(["cifar_wrn_16_1", "cifar_wrn_16_2", "cifar_wrn_40_1", "cifar_wrn_40_2"])


class PreActivationBlock(nn.Module):
    """BatchNorm, ReLU, 3x3 convolution, twice.

    Where the width changes, the 1x1 shortcut sees the activated input; otherwise the input itself is added.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, block_drop_rate: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.act1 = nn.ReLU(inplace=False)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU(inplace=True)
        self.block_drop_rate = block_drop_rate
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.downsample: nn.Module | None = None
        if channels_in != channels:
            self.downsample = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        activated = self.act1(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        y = self.act2(self.bn2(self.conv1(activated)))
        if self.block_drop_rate:
            y = functional.dropout(y, self.block_drop_rate, self.training)
        return self.conv2(y) + shortcut


class CifarWideResNet(SmallImageNet):
    """A wide residual network for small images.

    Args:
        blocks: Blocks in each stage.
        widths: Channels of the stem, then of each stage; every stage but the first halves the resolution.
        block_drop_rate: Dropout between a block's convolutions (the paper's).
        num_classes, in_chans, global_pool, drop_rate: As in SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: tuple[int, ...],
        *,
        block_drop_rate: float = 0.0,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__(
            widths[-1], num_classes=num_classes, in_chans=in_chans, global_pool=global_pool, drop_rate=drop_rate
        )
        self.conv1 = nn.Conv2d(in_chans, widths[0], 3, 1, 1, bias=False)
        self.feature_info = []
        self.stages: list[str] = []
        channels_in, reduction = widths[0], 1
        for stage, channels in enumerate(widths[1:], start=1):
            stride = 1 if stage == 1 else 2
            reduction *= stride
            layers = [
                PreActivationBlock(
                    channels_in if block == 0 else channels, channels, stride if block == 0 else 1, block_drop_rate
                )
                for block in range(blocks)
            ]
            name = f"layer{stage}"
            self.add_module(name, nn.Sequential(*layers))
            self.stages.append(name)
            self.feature_info.append({"num_chs": channels, "reduction": reduction, "module": name})
            channels_in = channels
        self.bn1 = nn.BatchNorm2d(widths[-1])
        self.act1 = nn.ReLU(inplace=True)
        self.build_head(global_pool)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(self.fc, nn.Linear):
            nn.init.zeros_(self.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's normalised and activated output."""
        x = self.conv1(x)
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.act1(self.bn1(x))


def _wide(name: str, depth: int, width: int, pretrained: bool, **arguments: Any) -> CifarWideResNet:
    widths = (16, 16 * width, 32 * width, 64 * width)
    return build(CifarWideResNet, name, pretrained, **{"blocks": (depth - 4) // 6, "widths": widths, **arguments})


@register_model
def cifar_wrn_16_1(pretrained: bool = False, **kwargs: Any) -> CifarWideResNet:
    """WRN-16-1: 0.17 M parameters."""
    return _wide("cifar_wrn_16_1", 16, 1, pretrained, **kwargs)


@register_model
def cifar_wrn_16_2(pretrained: bool = False, **kwargs: Any) -> CifarWideResNet:
    """WRN-16-2: 0.69 M parameters."""
    return _wide("cifar_wrn_16_2", 16, 2, pretrained, **kwargs)


@register_model
def cifar_wrn_40_1(pretrained: bool = False, **kwargs: Any) -> CifarWideResNet:
    """WRN-40-1: 0.56 M parameters."""
    return _wide("cifar_wrn_40_1", 40, 1, pretrained, **kwargs)


@register_model
def cifar_wrn_40_2(pretrained: bool = False, **kwargs: Any) -> CifarWideResNet:
    """WRN-40-2: 2.2 M parameters."""
    return _wide("cifar_wrn_40_2", 40, 2, pretrained, **kwargs)
