"""report.html of a segmentation measurement: numbers, classes, and what was predicted drawn over the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from ...data.segmentation import MaskSource
from ..dense import Comparison
from ..dense.pictures import resized
from ..dense.report import class_rows, jpeg_uri, write_dense_report
from .drawing import tinted
from .papers import paper_rows
from .predictions import read_prediction, shown_images


def write_segmentation_report(comparison: Comparison) -> Path:
    """Write ``report.html`` into the measurement's folder.

    Raises:
        RunError: It cannot be written.
    """
    plan = comparison.plan
    _, val = plan.data
    pictures = []
    for index in shown_images(val):
        image = val.load(index)
        drawn = [{"role": "annotated", "uri": _drawn(val, image, val.load_mask(index))}]
        for side in plan.sides:
            labels = read_prediction(Path(comparison.out) / f"{side.role}-seed{plan.seeds[0]}", index)
            if labels is not None and labels.shape == image.size[::-1]:
                drawn.append({"role": side.role, "uri": _drawn(val, image, labels)})
        pictures.append({"identity": val.identity(index), "sides": drawn})
    return write_dense_report(
        "segmentation.html.j2",
        comparison,
        sentences_on=("mIoU",),
        classes=_coloured_rows(val, comparison),
        papers=paper_rows() if plan.spec.name == "cityscapes" else [],
        pictures=pictures,
        network="segmentor",
        counted="pixels",
        class_metric="IoU",
        coloured=True,
    )


def _coloured_rows(val: MaskSource, comparison: Comparison) -> list[dict[str, Any]]:
    """The classes that are annotated or predicted anywhere, with their colours in the pictures."""
    return [
        {**row, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for row, colour in zip(class_rows(comparison), val.colours, strict=False)
        if row["count"] or any(value is not None for value in row["values"])
    ]


def _drawn(val: MaskSource, image: Image.Image, labels: np.ndarray) -> Markup:
    """The image as a JPEG, tinted with its classes' colours."""
    return jpeg_uri(resized(tinted(image, labels, val.colours)))
