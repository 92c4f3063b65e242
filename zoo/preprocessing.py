"""What a model expects of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..base.errors import ModelError

MAX_IMAGE_SIZE = 4096
"""Pixels of a side; timm's largest is 1,024."""

MIN_CROP_PCT, MAX_CROP_PCT = 0.1, 2.0
"""timm's own lie between 0.875 and 1.15; below a tenth, the resized image would be a hundred times the shown one."""

_MAX_MEAN, _MIN_STD, _MAX_STD = 10.0, 1e-3, 10.0  # of images in [0, 1]
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos", "random")
_RANGES = (
    f"image_size is 1 to {MAX_IMAGE_SIZE}, crop_pct {MIN_CROP_PCT:g} to {MAX_CROP_PCT:g}; mean and std have three "
    f"entries (one for grey images) for pixels from 0 to 1, std from {_MIN_STD:g} to {_MAX_STD:g}"
)


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
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"{source} has no usable preprocessing ({error})",
            hint="it needs image_size, mean, std, interpolation, crop_pct",
        ) from error
    problem = _problem(image_size, width, mean, std, interpolation, crop_pct)
    if problem:
        raise ModelError(f"{source} has preprocessing that makes no sense: {problem}", hint=_RANGES)
    return Preprocessing(
        image_size=image_size,
        mean=mean,
        std=std,
        interpolation=interpolation if interpolation != "random" else "bilinear",
        crop_pct=crop_pct,
        image_width=None if width == image_size else width,
    )


def _problem(
    image_size: int,
    width: int | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    interpolation: str,
    crop_pct: float,
) -> str | None:
    """The first value that is out of its range, in words."""
    if len(mean) != len(std) or len(mean) not in (1, 3):
        return f"a mean of {len(mean)} entries and a std of {len(std)}"
    for side in (image_size, image_size if width is None else width):
        if not 1 <= side <= MAX_IMAGE_SIZE:
            return f"images of {side} px"
    if not MIN_CROP_PCT <= crop_pct <= MAX_CROP_PCT:
        return f"crop_pct {crop_pct:g}"
    if not all(abs(value) <= _MAX_MEAN for value in mean):  # nan is not either
        return f"mean {list(mean)}"
    if not all(_MIN_STD <= value <= _MAX_STD for value in std):
        return f"std {list(std)}"
    if interpolation not in _INTERPOLATIONS:
        return f"interpolation {interpolation[:40]!a}"
    return None


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
    if not all(isinstance(side, int) and 1 <= side <= MAX_IMAGE_SIZE for side in (height, width)):
        raise ModelError(
            f"{source} has preprocessing that makes no sense: input_size {height!r}x{width!r}", hint=_RANGES
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
