"""Images at the size that they are shown with what was found in them."""

from __future__ import annotations

from PIL import Image

_SIDE = 420  # pixels of the longer side in a report


def shown_scale(size: tuple[int, int], side: int = _SIDE) -> float:
    """By what an image is enlarged or made smaller to be shown; whole steps up keep small images' pixels square."""
    longer = max(size)
    return side / longer if longer > side else max(1, side // 2 // longer)


def resized(image: Image.Image, side: int = _SIDE) -> Image.Image:
    """The image at the size it is shown."""
    scale = shown_scale(image.size, side)
    size = (max(1, round(length * scale)) for length in image.size)
    return image.resize((next(size), next(size)), Image.Resampling.BILINEAR)
