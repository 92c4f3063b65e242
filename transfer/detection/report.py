"""report.html of a detection measurement: numbers, classes, and what was found drawn on the images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import ImageDraw

from ...data.detection import BoxSource
from ...engine.preflight import even_slice
from ..dense import Comparison
from ..dense.report import class_rows, jpeg_uri, resized, shown_scale, write_dense_report
from .papers import paper_rows
from .predictions import read_predictions

SHOWN_IMAGES = 12
SHOWN_SCORE = 0.3
"""Boxes below this score are not drawn."""

_TRUTH, _FOUND = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion


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
    canvas = ImageDraw.Draw(image)
    for box in source.image_objects(index).boxes.tolist():
        canvas.rectangle(_corners([value * scale for value in box]), outline=_TRUTH, width=2)
    label_of = {identity: label for label, identity in enumerate(source.category_ids)}
    for entry in sorted(found.get(source.image_ids[index], []), key=lambda one: float(one["score"])):
        if entry["score"] < SHOWN_SCORE:
            continue
        left, top, width, height = (value * scale for value in entry["bbox"])
        canvas.rectangle(_corners([left, top, left + width, top + height]), outline=_FOUND, width=2)
        name = source.class_names[label_of[entry["category_id"]]]
        text = f"{name} {100 * entry['score']:.0f}"
        place = (left + 2, max(0.0, top - 11))
        canvas.rectangle(canvas.textbbox(place, text), fill=(255, 255, 255))
        canvas.text(place, text, fill=_FOUND)
    return jpeg_uri(image)


def _corners(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, max(left, right), max(top, bottom)]
