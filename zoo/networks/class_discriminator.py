"""The network that a small class-conditional GAN's generator plays against, under timm's interface.

Spectrally normalised residual blocks without BatchNorm, summed over the image, as in SNGAN (Miyato et al., ICLR 2018,
arXiv 1802.05957, App. B.4). Its logits are the class part of a projection discriminator (Miyato, Koyama, ICLR 2018,
arXiv 1802.05637): D(x, y) = ψ(features(x)) + logits(x)_y. So the highest logit is the class that x looks most like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .small_image import SmallImageNet, cifar_default_cfgs, register


class _Block(nn.Module):
    """ReLU, 3×3, ReLU, 3×3, then half the resolution, beside a 1×1 shortcut."""

    def __init__(self, in_channels: int, channels: int, *, first: bool) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, channels, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.shortcut = spectral_norm(nn.Conv2d(in_channels, channels, 1))
        self._first = first

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(F.relu(self.conv1(x if self._first else F.relu(x))))
        return F.avg_pool2d(inner + self.shortcut(x), 2)


class ClassDiscriminator(SmallImageNet):
    """One block a stage, each halving the resolution.

    Args:
        widths: Channels of the image and of each stage.
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.
    """

    def __init__(
        self,
        widths: Sequence[int],
        **head: Any,
    ) -> None:
        super().__init__(widths[-1], **head)
        self.feature_info = []
        channels = self.in_chans
        for stage, width in enumerate(widths[1:]):
            self.add_module(f"layer{stage + 1}", _Block(channels, width, first=stage == 0))
            self.feature_info.append({"num_chs": width, "reduction": 2 ** (stage + 1), "module": f"layer{stage + 1}"})
            channels = width
        self.build_head()

    def build_head(self) -> None:
        """The pooling and a spectrally normalised classifier."""
        super().build_head()
        if isinstance(self.fc, nn.Linear):
            self.fc = spectral_norm(self.fc)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to a map whose average is the sum over the last stage's output."""
        x = self.forward_stages(x)
        return F.relu(x) * (x.shape[-2] * x.shape[-1])


_WIDTHS = {
    "class_discriminator": ("Three blocks of 64, 128 and 256 channels.", {"widths": (3, 64, 128, 256)}),
    "class_discriminator_tiny": ("Three blocks of 16, 32 and 64 channels.", {"widths": (3, 16, 32, 64)}),
}
default_cfgs = cifar_default_cfgs(_WIDTHS, pool_size=(4, 4), first_conv="layer1.conv1")
register(__name__, ClassDiscriminator, _WIDTHS)
