"""What the loader hands over: decoded pixels as bytes, moved to the device once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A host's tensor on the device, without waiting for what is queued there."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


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
        teacher_images: uint8, (B, 3, H_k, W_k): the same views rendered at the further sizes that teachers see.
    """

    images: Tensor
    labels: Tensor
    sample_ids: Tensor
    pixel_shift: Tensor | None = None
    unreadable: tuple[tuple[int, str], ...] = ()
    targets: Tensor | None = None
    conditions: Tensor | None = None
    answers: Tensor | None = None
    teacher_images: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by torch's DataLoader)."""

        def pinned(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.pin_memory()
            return tuple(map(pinned, value)) if isinstance(value, tuple) else value

        return Batch(**{name: pinned(value) for name, value in vars(self).items()})

    def on_device(self, device: torch.device) -> Batch:
        """The same batch with its pixels on the device, as bytes."""
        shift = None if self.pixel_shift is None else self.pixel_shift.to(device, non_blocking=True)
        images, *teachers = (one.to(device, non_blocking=True) for one in (self.images, *self.teacher_images))
        return replace(self, images=images, pixel_shift=shift, teacher_images=tuple(teachers))

    def to_float(self, device: torch.device, memory_format: torch.memory_format) -> Tensor:
        """The images on the device as float32 in [0, 1] (beyond it only by the pixel shift), (B, 3, H, W)."""
        return self._floats(self.images, device, memory_format)

    def teacher_images_to_float(self, device: torch.device, memory_format: torch.memory_format) -> tuple[Tensor, ...]:
        """As `to_float`, of the renderings at further sizes."""
        return tuple(self._floats(images, device, memory_format) for images in self.teacher_images)

    def _floats(self, images: Tensor, device: torch.device, memory_format: torch.memory_format) -> Tensor:
        pixels = images.to(device, non_blocking=True).to(memory_format=memory_format).to(torch.float32).div_(255)
        if self.pixel_shift is not None:
            pixels += self.pixel_shift.to(device, non_blocking=True)[:, :, None, None]
        return pixels
