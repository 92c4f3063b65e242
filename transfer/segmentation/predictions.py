"""What was predicted for the images that the report shows, kept in each run as PNGs of class indices."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ...base.writing import write_file
from ...data.segmentation import MaskSource
from ...engine.preflight import even_slice

PREDICTIONS = "predictions"
"""The folder in each run's."""

_SHOWN_IMAGES = 8


def shown_images(val: MaskSource) -> list[int]:
    """Indices of the images that are kept and shown, spread evenly over the split."""
    return list(even_slice(len(val), _SHOWN_IMAGES))


def save_predictions(run: Path, val: MaskSource, found: list[tuple[int, np.ndarray]]) -> None:
    """Write the labels (uint8, (H, W)) of images by index, in the classes' colours.

    Raises:
        RunError: They cannot be written.
    """
    folder = run / PREDICTIONS
    colours = [value for colour in val.colours for value in colour]
    for index, labels in found:
        picture = Image.fromarray(labels)
        picture.putpalette(colours)
        write_file(folder / f"{index:06d}.png", partial(picture.save, format="PNG"))


def read_prediction(run: Path, index: int) -> np.ndarray | None:
    """The labels of an image; None where they cannot be read."""
    try:
        with Image.open(run / PREDICTIONS / f"{index:06d}.png") as picture:
            return np.array(picture)
    except (OSError, ValueError):
        return None
