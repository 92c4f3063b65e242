"""A small class-conditional image generator whose class embeddings can be mixed.

As in BigGAN (Brock, Donahue, Simonyan, ICLR 2019, arXiv 1809.11096, §3) a vector is learnt for each class and shared by
all layers, whose normalisation it scales and shifts; so that, as XCL does (arXiv 2007.00051, supplement A.6), the
vector λ v_i + (1 − λ) v_j asks for an image between two classes. It is far smaller: three blocks, no attention, no
spectral normalisation, the latent vector read by the first layer alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BLOCKS = 3


class _ClassNorm(nn.Module):
    """BatchNorm whose scale and shift are linear in the class vector."""

    def __init__(self, channels: int, class_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(class_features, channels)
        self.shift = nn.Linear(class_features, channels)

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        scale, shift = self.scale(vectors)[:, :, None, None], self.shift(vectors)[:, :, None, None]
        return self.norm(x) * (1 + scale) + shift


class _Block(nn.Module):
    """Two 3×3 convolutions at twice the resolution, beside an enlarged shortcut."""

    def __init__(self, in_channels: int, channels: int, class_features: int) -> None:
        super().__init__()
        self.norm1 = _ClassNorm(in_channels, class_features)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.norm2 = _ClassNorm(channels, class_features)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        inner = F.relu(self.norm1(x, vectors)).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        inner = self.conv2(F.relu(self.norm2(self.conv1(inner), vectors)))
        return inner + self.shortcut(x).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


class ConditionalGenerator(nn.Module):
    """Latent and class vectors to images in [0, 1].

    Args:
        num_classes: C.
        image_size: Side of the images, pixels; a multiple of 8.
        width: Channels of the last block; the first has four times as many.
        latent_features: Length of the latent vector z.
        class_features: Length of a class's vector.

    Raises:
        ValueError: The image size is no multiple of 8.
    """

    def __init__(
        self, num_classes: int, image_size: int, width: int = 64, latent_features: int = 128, class_features: int = 128
    ) -> None:
        super().__init__()
        base, rest = divmod(image_size, 2**_BLOCKS)
        if rest or base < 1:
            raise ValueError(f"the generator's images have a multiple of {2**_BLOCKS} px a side, not {image_size}")
        self.num_classes, self.image_size = num_classes, image_size
        self.width, self.latent_features, self.class_features = width, latent_features, class_features
        self._base = base
        self.classes = nn.Embedding(num_classes, class_features)
        self.first = nn.Linear(latent_features, 4 * width * base**2)
        widths = (4 * width, 4 * width, 2 * width, width)
        self.blocks = nn.ModuleList(_Block(before, after, class_features) for before, after in pairwise(widths))
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def arguments(self) -> dict[str, Any]:
        """What builds the same network again."""
        names = ("num_classes", "image_size", "width", "latent_features", "class_features")
        return {name: getattr(self, name) for name in names}

    def class_vectors(self, classes: Tensor, others: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """v = λ v_i + (1 − λ) v_j; v_i alone where no other classes are given.

        Args:
            classes: i, int64, (B,).
            others: j, int64, (B,).
            weight: λ, (B,).
        """
        vectors: Tensor = self.classes(classes)
        if others is None or weight is None:
            return vectors
        return torch.lerp(self.classes(others), vectors, weight[:, None])

    def forward(self, latent: Tensor, vectors: Tensor) -> Tensor:
        """Latent vectors (B, latent_features) and class vectors (B, class_features) to (B, 3, H, W) in [0, 1]."""
        x = self.first(latent).view(len(latent), 4 * self.width, self._base, self._base)
        for block in self.blocks:
            x = block(x, vectors)
        return (torch.tanh(self.last(F.relu(self.norm(x)))) + 1) / 2
