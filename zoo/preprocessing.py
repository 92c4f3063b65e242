"""What a model expects of its images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Size and normalisation of a model's images, in timm's meaning.

    Attributes:
        image_size: Height in pixels of what the model sees, and its width unless ``image_width`` says otherwise.
        mean: Per channel, of images in [0, 1]; of one value where the model sees grey images.
        std: Per channel, of images in [0, 1].
        interpolation: ``bilinear``, ``bicubic``, ``nearest`` or ``lanczos``.
        crop_pct: The short side is resized to ``image_size / crop_pct`` before the centre crop.
        image_width: Pixels, where the width is not the height.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop_pct: float
    image_width: int | None = None

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(channels, height, width) of the model's input."""
        return len(self.mean), self.image_size, self.image_width or self.image_size

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        record = {**asdict(self), "mean": list(self.mean), "std": list(self.std)}
        if self.image_width is None:
            del record["image_width"]
        return record


def describe_view(size: object, crop_pct: float | None, interpolation: str | None, *more: str) -> str:
    """How images were shown in a measurement, in one line; the same words wherever a number stands.

    Args:
        size: Side in pixels, or ``HEIGHTxWIDTH``.
        crop_pct: Crop over resized short side; None where it is not known.
        interpolation: Of the resize, likewise.
        more: Further words, in order.
    """
    crop = None if crop_pct is None else f"crop_pct {crop_pct:g}"
    return ", ".join(part for part in (f"{size} px", crop, interpolation, *more) if part)


CENTRE_CROP = ("centre crop", "each image once")
"""What is further said of the ordinary measurement."""


def preprocessing_from_dict(record: Mapping[str, Any], source: str) -> Preprocessing:
    """Read what ``to_dict`` wrote.

    Raises:
        ModelError: An entry is missing or makes no sense; ``source`` names the file.
    """
    try:
        mean, std = (tuple(float(value) for value in record[key]) for key in ("mean", "std"))
        crop_pct, image_size = float(record["crop_pct"]), int(record["image_size"])
        interpolation = str(record["interpolation"])
        width = None if record.get("image_width") is None else int(record["image_width"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{source} has no usable preprocessing ({error})",
            hint="it needs image_size, mean, std, interpolation, crop_pct",
        ) from error
    sensible = len(mean) == len(std) and len(mean) in (1, 3) and image_size > 0 and 0 < crop_pct <= 2
    sensible = sensible and (width is None or 0 < width < 2**16)
    if not sensible or not all(math.isfinite(value) for value in mean) or not all(0 < value < 1e3 for value in std):
        raise ModelError(
            f"{source} has preprocessing that makes no sense: {dict(record)}",
            hint="mean and std have three entries (one for grey images), std, image_size and crop_pct are positive",
        )
    return Preprocessing(
        image_size=image_size,
        mean=mean,
        std=std,
        interpolation=interpolation if interpolation != "random" else "bilinear",
        crop_pct=crop_pct,
        image_width=None if width == image_size else width,
    )


def preprocessing_from_timm(
    pretrained_cfg: Mapping[str, Any], source: str, image_size: int | None = None
) -> tuple[Preprocessing, tuple[str, ...]]:
    """The preprocessing that timm states for a model, at its training size (not at its larger ``test_input_size``).

    Args:
        pretrained_cfg: timm's record.
        source: Names the model in messages.
        image_size: Pixels, in place of the record's.

    Returns:
        The preprocessing, and notes on what it cannot express.

    Raises:
        ModelError: The model takes neither RGB nor grey images, or the record makes no sense.
    """
    channels, height, width = pretrained_cfg.get("input_size") or (3, 224, 224)
    if channels not in (1, 3):
        raise ModelError(
            f"{source} takes {channels} channels; kdzoo gives RGB or grey images", hint="choose a model of 3 channels"
        )
    notes = []
    if image_size is None and channels == 3 and height != width:
        notes.append(f"{source} was trained on {height}x{width} pixels: shown {height}x{height}")
    crop_mode = pretrained_cfg.get("crop_mode") or "center"
    if crop_mode != "center":
        notes.append(f"{source} was evaluated with crop mode {crop_mode!r}: shown a centre crop")
    record = {
        "image_size": image_size or height,
        "mean": pretrained_cfg.get("mean", (0.485, 0.456, 0.406) if channels == 3 else (0.0,)),
        "std": pretrained_cfg.get("std", (0.229, 0.224, 0.225) if channels == 3 else (1.0,)),
        "interpolation": pretrained_cfg.get("interpolation", "bicubic"),
        "crop_pct": pretrained_cfg.get("crop_pct", 0.875),
    }
    if channels == 1 and image_size in (None, height):
        record["image_width"] = width
    preprocessing = preprocessing_from_dict(record, source)
    if len(preprocessing.mean) != channels:
        raise ModelError(
            f"{source} takes {channels} channels and has a mean of {len(preprocessing.mean)}",
            hint="mean and std need an entry a channel",
        )
    return preprocessing, tuple(notes)
