"""A map of classes laid over its image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ...data.segmentation import IGNORED

_SHARE = 0.6  # of the class's colour in what is shown; the rest is the image


def tinted(image: Image.Image, labels: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    """The image tinted with its classes' colours; what is ignored stays as it is.

    Args:
        image: RGB.
        labels: uint8, (H, W), of the image's size.
        colours: Of each class.
    """
    table = np.zeros((256, 3), dtype=np.float32)
    table[: len(colours)] = colours
    pixels = np.asarray(image, dtype=np.float32)
    mixed = (1 - _SHARE) * pixels + _SHARE * table[labels]
    return Image.fromarray(np.where((labels == IGNORED)[..., None], pixels, mixed).astype(np.uint8))
