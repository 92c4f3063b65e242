"""What the loader hands over: decoded pixels as bytes, moved to the device once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One rank's slice of a global batch.

    Attributes:
        images: uint8, (B, 3, H, W), RGB. The student's and the teachers' normalisations come later, on the device.
        labels: int64, (B,); -1 where the image has no label.
        sample_ids: int64, (B,); positions in the source, of the images that were asked for.
        pixel_shift: float32, (B, 3) in units of the [0, 1] pixel range, added after the conversion to float
            (AlexNet's lighting noise), or None.
        unreadable: Sample ids in this batch whose file could not be decoded and was replaced by another sample's
            (image and label both), with the reason.
        targets: float32, (B, D), what a regression predicts; NaN where an image has none. None for classes.
        conditions: float32, (B, P), what a network may take beside the image, or None.
        answers: float32, (B, W), the teachers' stored numbers for these images as they are after mixing, or None.
    """

    images: Tensor
    labels: Tensor
    sample_ids: Tensor
    pixel_shift: Tensor | None = None
    unreadable: tuple[tuple[int, str], ...] = ()
    targets: Tensor | None = None
    conditions: Tensor | None = None
    answers: Tensor | None = None

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by torch's DataLoader)."""

        def pinned(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.pin_memory()

        return Batch(
            self.images.pin_memory(),
            self.labels.pin_memory(),
            self.sample_ids.pin_memory(),
            pinned(self.pixel_shift),
            self.unreadable,
            pinned(self.targets),
            pinned(self.conditions),
            pinned(self.answers),
        )

    def to_float(self, device: torch.device, memory_format: torch.memory_format) -> Tensor:
        """The images on the device as float32 in [0, 1] (beyond it only by the pixel shift), (B, 3, H, W)."""
        images = self.images.to(device, non_blocking=True).to(memory_format=memory_format)
        pixels = images.to(torch.float32).div_(255)
        if self.pixel_shift is not None:
            pixels += self.pixel_shift.to(device, non_blocking=True)[:, :, None, None]
        return pixels
