"""ExRep's input distiller: a residual auto-encoder G that is added to the student's input, x̃ = x + G(x).

Jeon, Han, Lee, Woo, "ExRep", ACCV 2020, §3.1 and Eq. 1: convolutions, instance norm and leaky ReLU in residual
blocks. Two forms exist, both halving the image three times. The network printed in the training notebooks goes
straight back up and ends without a squashing function (3,662,851 parameters at 240 pixels); the repository's last
file has two more blocks on either side of the bottom and ends in tanh (8,385,539). The first is what was trained.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2


class _EncoderBlock(nn.Module):
    """Pre-activation residual block with affine instance norm; optionally halves the image before its second half."""

    def __init__(self, in_channels: int, out_channels: int, *, downsample: bool) -> None:
        super().__init__()
        self.downsample = downsample
        self.norm1 = nn.InstanceNorm2d(in_channels, affine=True)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.norm2 = nn.InstanceNorm2d(in_channels, affine=True)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        widens = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if widens else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        out = self.conv1(F.leaky_relu(self.norm1(x), _SLOPE))
        if self.downsample:
            shortcut, out = F.avg_pool2d(shortcut, 2), F.avg_pool2d(out, 2)
        out = self.conv2(F.leaky_relu(self.norm2(out), _SLOPE))
        return (shortcut + out) / math.sqrt(2)


class _DecoderBlock(nn.Module):
    """Pre-activation residual block with plain instance norm; optionally doubles the image before its first half."""

    def __init__(self, in_channels: int, out_channels: int, *, upsample: bool) -> None:
        super().__init__()
        self.upsample = upsample
        self.norm1 = nn.InstanceNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.InstanceNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        narrows = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if narrows else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = F.leaky_relu(self.norm1(x), _SLOPE)
        if self.upsample:
            x, out = (
                F.interpolate(x, scale_factor=2, mode="nearest"),
                F.interpolate(out, scale_factor=2, mode="nearest"),
            )
        out = self.conv2(F.leaky_relu(self.norm2(self.conv1(out)), _SLOPE))
        return (self.shortcut(x) + out) / math.sqrt(2)


class InputDistiller(nn.Module):
    """G, and its sum with the image. Works on images normalised as the student's.

    Args:
        width: Channels of the first convolution; they double at each halving, up to ``max_width``.
        max_width: The cap.
        num_halvings: How often the image is halved, and doubled again.
        num_bottom_blocks: Further residual blocks at the smallest size, this many on either side of it.
        tanh: Squash G's output to (−1, 1).
        in_channels: Of the image.
    """

    def __init__(
        self,
        width: int,
        *,
        max_width: int = 256,
        num_halvings: int = 3,
        num_bottom_blocks: int = 0,
        tanh: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.num_halvings = num_halvings
        encoder: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1)]
        decoder: list[nn.Module] = []
        channels = width
        for _ in range(num_halvings):
            wider = min(2 * channels, max_width)
            encoder.append(_EncoderBlock(channels, wider, downsample=True))
            decoder.insert(0, _DecoderBlock(wider, channels, upsample=True))
            channels = wider
        for _ in range(num_bottom_blocks):
            encoder.append(_EncoderBlock(channels, channels, downsample=False))
            decoder.insert(0, _DecoderBlock(channels, channels, upsample=False))
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        to_image: list[nn.Module] = [
            nn.InstanceNorm2d(width, affine=True),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(width, in_channels, 1),
        ]
        self.to_image = nn.Sequential(*to_image, *([nn.Tanh()] if tanh else []))

    def residual(self, images: Tensor) -> Tensor:
        """G(x), of the images' shape (B, in_channels, H, W).

        Raises:
            ValueError: Where height or width cannot be halved ``num_halvings`` times.
        """
        step = 2**self.num_halvings
        height, width = images.shape[-2:]
        if height % step or width % step:
            raise ValueError(f"the input distiller needs sides divisible by {step}, got {height}x{width}")
        return self.to_image(self.decoder(self.encoder(images)))

    def forward(self, images: Tensor) -> Tensor:
        """x + G(x) (Eq. 1)."""
        return images + self.residual(images)


def distil(network: InputDistiller, images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """x + G(x) for images in [0, 1], where G reads and adds in normalised units.

    Args:
        network: G.
        images: (B, 3, H, W), sides divisible by 8.
        mean: Normalisation of what G reads.
        std: As ``mean``.

    Returns:
        (B, 3, H, W); not confined to [0, 1].
    """
    offset, scale = (images.new_tensor(values)[None, :, None, None] for values in (mean, std))
    return images + scale * network.residual((images - offset) / scale)


def published_width(image_size: int) -> int:
    """Channels of the first convolution in the authors' networks: 2^14 // image size (68 at 240, 73 at 224)."""
    return 2**14 // image_size


def published_distiller(
    form: Literal["notebook", "repository"], image_size: int, *, width: int = 0, max_width: int = 256
) -> InputDistiller:
    """G as the authors had it, with fresh weights.

    Args:
        form: ``notebook``: as the training notebooks print it, 3,662,851 parameters at 240 pixels, 3,805,981 at 224;
            ``repository``: of the repository's last revision, 8,385,539 at 240.
        image_size: Of its input, pixels.
        width: Channels of the first convolution; 0 for the published rule.
        max_width: Cap of the channels.
    """
    deeper = form == "repository"
    return InputDistiller(
        width or published_width(image_size), max_width=max_width, num_bottom_blocks=2 if deeper else 0, tanh=deeper
    )
