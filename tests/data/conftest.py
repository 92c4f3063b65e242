"""Images and folders that the data tests share; everything is generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """A smooth coloured picture with some noise, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray(np.clip(pixels + rng.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8))


@pytest.fixture
def make_picture() -> Callable[..., Image.Image]:
    return picture


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    """train/ and val/ with three classes of six and two JPEG images."""
    root = tmp_path / "pets"
    for split, count in (("train", 6), ("val", 2)):
        for label, name in enumerate(("cat", "dog", "owl")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                seed = 1000 * (split == "val") + 100 * label + index
                picture(seed).save(folder / f"{index}.jpg", quality=95)
    return root
