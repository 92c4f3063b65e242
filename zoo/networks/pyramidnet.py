"""PyramidNet for CIFAR: channels grow a little at every block.

Han, Kim, Kim, "Deep Pyramidal Residual Networks", CVPR 2017, arXiv 1610.02915, in the additive bottleneck form that
CutMix's code uses on CIFAR: XCL's PyramidNet-200 (α 240) and ExRep's PyramidNet-272 (α 200).
"""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .small_image import SmallImageNet, cifar_default_cfgs, register


class _Bottleneck(nn.Module):
    """BN-1×1-BN-ReLU-3×3-BN-ReLU-1×1-BN; the shortcut is padded with zero channels, and pooled where it halves."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = nn.AvgPool2d(2, stride=2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.bn4(self.conv3(F.relu(self.bn3(out))))
        shortcut = self.downsample(x)
        return out + F.pad(shortcut, (0, 0, 0, 0, 0, out.shape[1] - shortcut.shape[1]))


class PyramidNet(SmallImageNet):
    """PyramidNet in three stages at 32, 16 and 8 pixels.

    Args:
        depth: 9n + 2.
        alpha: Channels gained over all 3n blocks, before the bottleneck's expansion by 4.
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.

    Raises:
        ValueError: For another depth.
    """

    def __init__(
        self,
        depth: int,
        alpha: float,
        **head: Any,
    ) -> None:
        if depth < 11 or (depth - 2) % 9:
            raise ValueError(f"a bottleneck PyramidNet's depth is 9n + 2, not {depth}")
        per_stage = (depth - 2) // 9
        widths = _widths(3 * per_stage, alpha)
        super().__init__(widths[-1] * _Bottleneck.expansion, **head)
        channels = 16
        self.conv1 = nn.Conv2d(self.in_chans, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.feature_info = []
        for stage in range(3):
            blocks = []
            for block, width in enumerate(widths[stage * per_stage : (stage + 1) * per_stage]):
                blocks.append(_Bottleneck(channels, width, 2 if stage > 0 and block == 0 else 1))
                channels = width * _Bottleneck.expansion
            name = f"layer{stage + 1}"
            self.add_module(name, nn.Sequential(*blocks))
            self.feature_info.append({"num_chs": channels, "reduction": 2**stage, "module": name})
        self.bn_final = nn.BatchNorm2d(channels)
        self.build_head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / (module.kernel_size[0] ** 2 * module.out_channels)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's output after its BatchNorm and ReLU."""
        x = self.forward_stages(self.bn1(self.conv1(x)))  # no ReLU here, as in the authors' code
        return F.relu(self.bn_final(x))


def _widths(num_blocks: int, alpha: float) -> list[int]:
    """Each block's inner channels: 16 grown by alpha / num_blocks a block, rounded (the paper's Eq. 3 floors)."""
    widths, width = [], 16.0
    for _ in range(num_blocks):
        width += alpha / num_blocks
        widths.append(round(width))
    return widths


# clovaai/CutMix-PyTorch train.py; the same numbers in ExRep's CIFAR-10 notebook.
_MEAN, _STD = (125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)

_CIFAR100 = {
    "cifar_pyramidnet200_a240": (
        "PyramidNet-200, α 240: 26.8 M parameters with 100 classes (CutMix, arXiv 1905.04899, Table 5).",
        {"depth": 200, "alpha": 240},
    )
}
_CIFAR10 = {
    "cifar_pyramidnet272_a200": (
        "PyramidNet-272, α 200: 26.2 M parameters with 10 classes, as ExRep's second stage trains it on CIFAR-10.",
        {"depth": 272, "alpha": 200},
    )
}
default_cfgs = {
    **cifar_default_cfgs(_CIFAR100, num_classes=100, mean=_MEAN, std=_STD),
    **cifar_default_cfgs(_CIFAR10, mean=_MEAN, std=_STD),
}
register(__name__, PyramidNet, {**_CIFAR100, **_CIFAR10})
