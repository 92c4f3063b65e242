"""Wide residual networks for 32x32 images.

Zagoruyko and Komodakis, "Wide Residual Networks", 2016, arXiv 1605.07146, §2 and Table 1: WRN-d-k has depth d = 6n + 4,
a 16-channel stem, three stages of n pre-activation blocks with 16k, 32k and 64k channels, and BatchNorm and ReLU last.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from .small_image import SmallImageNet, cifar_default_cfgs, register


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
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: tuple[int, ...],
        *,
        block_drop_rate: float = 0.0,
        **head: Any,
    ) -> None:
        super().__init__(widths[-1], **head)
        self.conv1 = nn.Conv2d(self.in_chans, widths[0], 3, 1, 1, bias=False)
        self.add_stages(widths[0], widths[1:], blocks, partial(PreActivationBlock, block_drop_rate=block_drop_rate))
        self.bn1 = nn.BatchNorm2d(widths[-1])
        self.act1 = nn.ReLU(inplace=True)
        self.build_head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(self.fc, nn.Linear):
            nn.init.zeros_(self.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's normalised and activated output."""
        return self.act1(self.bn1(self.forward_stages(self.conv1(x))))


_NARROW, _DOUBLE = (16, 16, 32, 64), (16, 32, 64, 128)
_DEPTHS = {  # 6n + 4
    "cifar_wrn_16_1": ("WRN-16-1: 0.17 M parameters.", {"blocks": 2, "widths": _NARROW}),
    "cifar_wrn_16_2": ("WRN-16-2: 0.69 M parameters.", {"blocks": 2, "widths": _DOUBLE}),
    "cifar_wrn_40_1": ("WRN-40-1: 0.56 M parameters.", {"blocks": 6, "widths": _NARROW}),
    "cifar_wrn_40_2": ("WRN-40-2: 2.2 M parameters.", {"blocks": 6, "widths": _DOUBLE}),
}
default_cfgs = cifar_default_cfgs(_DEPTHS)
register(__name__, CifarWideResNet, _DEPTHS)
