"""What was predicted for the images that the report shows, kept in each run as PNGs of class indices."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ...base.writing import write_file
from ...data.segmentation import MaskSource
from ...engine.preflight import even_slice

PREDICTIONS = "predictions"
"""The folder in each run's."""

CONFUSION = "confusion.csv"
"""The file in each run's folder that the metrics are made from."""

_SHOWN_IMAGES = 8


def shown_images(val: MaskSource) -> list[int]:
    """Indices of the images that are kept and shown, spread evenly over the split."""
    return list(even_slice(len(val), _SHOWN_IMAGES))


def save_predictions(run: Path, val: MaskSource, found: list[tuple[int, np.ndarray]]) -> None:
    """Write the labels (uint8, (H, W)) of images by index, in the classes' colours.

    Raises:
        RunError: They cannot be written.
    """
    for index, labels in found:
        write_mask(run / PREDICTIONS / f"{index:06d}.png", labels, val.colours)


def write_mask(path: Path, labels: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> None:
    """Write labels, uint8 (H, W), as a PNG of indices into the classes' colours.

    Raises:
        RunError: It cannot be written.
    """
    picture = Image.fromarray(labels)
    picture.putpalette([value for colour in colours for value in colour])
    write_file(path, partial(picture.save, format="PNG"))


def save_confusion(run: Path, val: MaskSource, matrix: np.ndarray) -> None:
    """Write the confusion matrix over all evaluation images, a row an annotated class, a column a predicted one.

    Raises:
        RunError: It cannot be written.
    """
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(["annotated", *val.class_names])
    table.writerows([name, *row] for name, row in zip(val.class_names, matrix.tolist(), strict=True))
    write_file(run / CONFUSION, lines.getvalue())


def read_prediction(run: Path, index: int) -> np.ndarray | None:
    """The labels of an image; None where they cannot be read."""
    try:
        with Image.open(run / PREDICTIONS / f"{index:06d}.png") as picture:
            return np.array(picture)
    except (OSError, ValueError):
        return None
