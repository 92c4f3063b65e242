"""ResNet-18 for CIFAR with 1-bit weights, as XCL's binary student.

Weights of the 3×3 convolutions are ±α with α the mean magnitude of each filter (XNOR-Net, Rastegari et al., ECCV
2016, arXiv 1603.05279); activations stay as they are. Blocks follow the implementation that XCL's supplement names
(apple/ml-quant, Pouransari et al., "Least squares binary quantization of neural networks", CVPRW 2020): BN, clamp to
±2, binary convolution, ReLU, and a shortcut around each convolution. First and last layer are full precision, and, as
in that code though not in the supplement's words, so are the 1×1 convolutions of the shortcuts.

The scale is computed from the current weights always; that code caches it in training, one step behind in evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .small_image import SmallImageNet, cifar_default_cfgs, register


class _SignStraightThrough(torch.autograd.Function):
    """±1 (0 gives +1) forward; the gradient as it comes where |w| ≤ 1, else 0."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        return grad * (weight.abs() <= 1)


def binarize(weight: Tensor) -> Tensor:
    """(O, I, h, w) weights to ±mean|w| of their filter.

    The gradient passes the sign straight through, times the scale, where |w| ≤ 1; the scale itself passes none.
    """
    scale = weight.detach().abs().mean(dim=(1, 2, 3), keepdim=True)
    return scale * _SignStraightThrough.apply(weight)


class BinaryConv2d(nn.Conv2d):
    """A convolution that clamps its input to ±``clamp`` and uses its weights binarised. Checkpoints hold the real ones.

    Args:
        in_channels: As in ``nn.Conv2d``.
        out_channels: Likewise.
        kernel_size: Likewise.
        clamp: Largest magnitude of an input.
        kwargs: Stride, padding, bias, … of ``nn.Conv2d``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, clamp: float = 2.0, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **kwargs)
        self.clamp = clamp

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x.clamp(-self.clamp, self.clamp), binarize(self.weight), self.bias)


class _BinaryBlock(nn.Module):
    """Two halves of BN, binary convolution, ReLU, each with its own shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int, binary_shortcut: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = BinaryConv2d(in_channels, channels, 3, stride=stride, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = BinaryConv2d(channels, channels, 3, padding=1)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            conv = BinaryConv2d if binary_shortcut else nn.Conv2d
            self.shortcut = nn.Sequential(conv(in_channels, channels, 1, stride=stride), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        half = F.relu(self.conv1(self.bn1(x))) + self.shortcut(x)
        return F.relu(self.conv2(self.bn2(half))) + half


class BinaryResNet(SmallImageNet):
    """A 3×3 stem without pooling and stages of binary blocks.

    Args:
        blocks: Blocks a stage.
        widths: Channels of the stem and of each stage.
        binary_shortcut: Binarise the shortcuts' 1×1 convolutions too: the supplement's words taken literally.
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: Sequence[int],
        binary_shortcut: bool = False,
        **head: Any,
    ) -> None:
        super().__init__(widths[-1], **head)
        self.conv1 = nn.Conv2d(self.in_chans, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.add_stages(widths[0], widths[1:], blocks, partial(_BinaryBlock, binary_shortcut=binary_shortcut))
        self.build_head()

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's output."""
        return self.forward_stages(F.relu(self.bn1(self.conv1(x))))


_EIGHTEEN = {
    "cifar_binary_resnet18": (
        "Binary-weight ResNet-18: 11.2 M parameters, of which 10.99 M weigh one bit when deployed.",
        {"blocks": 2, "widths": (64, 64, 128, 256, 512)},
    )
}
default_cfgs = cifar_default_cfgs(
    _EIGHTEEN,
    num_classes=100,
    pool_size=(4, 4),
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
)
register(__name__, BinaryResNet, _EIGHTEEN)
