"""Operations of augmentation policies on one image, each with its final argument; Pillow does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageEnhance, ImageOps

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How the geometric operations of a policy sample and fill.

    Attributes:
        fill: Colour of what comes from outside the image.
        shear, translate, rotate: Interpolation of each.
    """

    fill: tuple[int, int, int]
    shear: str
    translate: str
    rotate: str


def apply_op(image: Image.Image, name: str, value: float, geometry: Geometry) -> Image.Image:
    """The image after one operation.

    Args:
        name: A key of OPERATIONS.
        value: Its final argument: a slope (ShearX, ShearY), pixels to the right or down (TranslateX, TranslateY),
            degrees counter-clockwise (Rotate), an enhancement factor with 1 for no change (Color, Contrast,
            Brightness, Sharpness), bits kept (Posterize), the first inverted level (Solarize), levels added below
            128 (SolarizeAdd); without meaning for AutoContrast, Equalize and Invert.
    """
    return OPERATIONS[name](image, value, geometry)


def _affine(image: Image.Image, matrix: tuple[float, ...], resampling: str, geometry: Geometry) -> Image.Image:
    # The matrix maps a place in the result to the place in the image that it is taken from.
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=RESAMPLING[resampling], fillcolor=geometry.fill
    )


def _posterize(image: Image.Image, bits: float, _: Geometry) -> Image.Image:
    # By hand: RandAugment reaches 0 bits, a black image, which newer Pillow versions refuse.
    mask = 0x100 - (1 << (8 - int(bits)))
    return image.point([level & mask for level in range(256)] * 3)


def _solarize_add(image: Image.Image, added: float, _: Geometry) -> Image.Image:
    table = [min(255, level + int(added)) if level < 128 else level for level in range(256)]
    return image.point(table * 3)


OPERATIONS: dict[str, Callable[[Image.Image, float, Geometry], Image.Image]] = {
    "ShearX": lambda image, slope, how: _affine(image, (1, slope, 0, 0, 1, 0), how.shear, how),
    "ShearY": lambda image, slope, how: _affine(image, (1, 0, 0, slope, 1, 0), how.shear, how),
    "TranslateX": lambda image, pixels, how: _affine(image, (1, 0, -pixels, 0, 1, 0), how.translate, how),
    "TranslateY": lambda image, pixels, how: _affine(image, (1, 0, 0, 0, 1, -pixels), how.translate, how),
    "Rotate": lambda image, degrees, how: image.rotate(degrees, resample=RESAMPLING[how.rotate], fillcolor=how.fill),
    "Color": lambda image, factor, _: ImageEnhance.Color(image).enhance(factor),
    "Contrast": lambda image, factor, _: ImageEnhance.Contrast(image).enhance(factor),
    "Brightness": lambda image, factor, _: ImageEnhance.Brightness(image).enhance(factor),
    "Sharpness": lambda image, factor, _: ImageEnhance.Sharpness(image).enhance(factor),
    "Posterize": _posterize,
    "Solarize": lambda image, threshold, _: ImageOps.solarize(image, threshold),  # type: ignore[arg-type]
    "SolarizeAdd": _solarize_add,
    "AutoContrast": lambda image, _, __: ImageOps.autocontrast(image),
    "Equalize": lambda image, _, __: ImageOps.equalize(image),
    "Invert": lambda image, _, __: ImageOps.invert(image),
}
