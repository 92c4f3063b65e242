"""Labels of an image: its logits in one piece, or averaged over overlapping windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ...zoo import Preprocessing


def normalised(images: Tensor, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """uint8 (B, 3, H, W) as the network takes it: float32, less the mean, over the standard deviation."""
    mean, std = (
        torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    return (images.to(device, non_blocking=True).float() / 255 - mean) / std


def padded(logits: Callable[[Tensor], Tensor], images: Tensor, multiple: int) -> Tensor:
    """Logits of images whose sides are first filled up to a multiple with zeros, right and below, and then cut off."""
    height, width = images.shape[2:]
    if multiple == 1:
        return logits(images)
    filled = F.pad(images, (0, -width % multiple, 0, -height % multiple))
    return logits(filled)[:, :, :height, :width]


def slide(
    logits: Callable[[Tensor], Tensor], images: Tensor, window: tuple[int, int], stride: tuple[int, int]
) -> Tensor:
    """Logits averaged over windows; the last ones are moved back into the image.

    Args:
        logits: Of a window, at its size.
        images: (1, 3, H, W).
        window: Height and width; an image that is smaller is taken whole on that axis.
        stride: Between two windows.
    """
    size = images.shape[2:]
    total: Tensor | None = None
    count = images.new_zeros(size)
    rows, columns = (_starts(size[axis], window[axis], stride[axis]) for axis in (0, 1))
    for top in rows:
        for left in columns:
            part = (slice(top, top + window[0]), slice(left, left + window[1]))
            found = logits(images[:, :, part[0], part[1]])
            if total is None:
                total = found.new_zeros((found.shape[0], found.shape[1], *size))
            total[:, :, part[0], part[1]] += found
            count[part] += 1
    assert total is not None
    return total / count


def _starts(size: int, window: int, stride: int) -> list[int]:
    number = max(size - window + stride - 1, 0) // stride + 1
    return [max(0, min(index * stride, size - window)) for index in range(number)]


def predicted_labels(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The likeliest class of each pixel of the stored image: uint8, (H, W)."""
    return at_size(logits, size)[0].argmax(dim=0).to(torch.uint8)


def at_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits of each pixel of the stored image."""
    if tuple(logits.shape[2:]) == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
