"""report.html of a detection measurement: numbers, classes, and what was found drawn on the images themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from ...data.detection import BoxSource
from ...engine.preflight import even_slice
from ..dense import Comparison
from ..dense.pictures import resized, shown_scale
from ..dense.report import class_rows, jpeg_uri, write_dense_report
from .drawing import SHOWN_SCORE, draw_found, draw_truth
from .papers import paper_rows
from .predictions import read_predictions

SHOWN_IMAGES = 12


def write_detection_report(comparison: Comparison) -> Path:
    """Write ``report.html`` into the measurement's folder.

    Raises:
        RunError: It cannot be written.
    """
    plan = comparison.plan
    _, val = plan.data
    runs = [Path(comparison.out) / f"{side.role}-seed{plan.seeds[0]}" for side in plan.sides]
    found = [read_predictions(run) for run in runs]
    pictures = []
    for index in even_slice(len(val), SHOWN_IMAGES):
        drawn = [
            {"role": side.role, "uri": _drawn(val, index, boxes)} for side, boxes in zip(plan.sides, found, strict=True)
        ]
        pictures.append({"identity": val.identity(index), "sides": drawn})
    return write_dense_report(
        "detection.html.j2",
        comparison,
        sentences_on=("AP", "AP50"),
        classes=class_rows(comparison),
        papers=paper_rows() if plan.spec.name == "coco" else [],
        pictures=pictures,
        network="detector",
        counted="objects",
        class_metric="AP",
        coloured=False,
        score=SHOWN_SCORE,
    )


def _drawn(source: BoxSource, index: int, found: dict[Any, list[dict[str, Any]]]) -> Markup:
    """The image as a JPEG, the annotated boxes in blue and what was found in orange with class and score."""
    image = source.load(index)
    scale, image = shown_scale(image.size), resized(image)
    draw_truth(image, source.image_objects(index).boxes.tolist(), scale)
    label_of = {identity: label for label, identity in enumerate(source.category_ids)}
    rows = []
    for entry in found.get(source.image_ids[index], []):
        left, top, width, height = entry["bbox"]
        name = source.class_names[label_of[entry["category_id"]]]
        rows.append(([left, top, left + width, top + height], name, float(entry["score"])))
    draw_found(image, rows, scale)
    return jpeg_uri(image)
