"""Folders of small images, no two of them alike, laid out as a test says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

_FORMATS = {".jfif": "JPEG", ".jpe": "JPEG", ".heic": "JPEG", ".mpo": "JPEG", ".apng": "PNG", ".pbm": "PPM"}


def write_image(path: Path, seed: int) -> None:
    """An 8x6 image of noise, in the format that its extension stands for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=_FORMATS.get(path.suffix.lower()))


def make(root: Path, *folders: str, images: int = 2) -> Path:
    """Folders with a few images each, no two of them alike."""
    for number, folder in enumerate(folders):
        for index in range(images):
            write_image(root / folder / f"{index}.png", 100 * number + index)
    return root
