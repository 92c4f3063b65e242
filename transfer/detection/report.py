"""report.html of a detection measurement: numbers, classes, and what was found drawn on the images themselves."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image, ImageDraw

from ...data.detection import BoxSource
from ...engine.preflight import even_slice
from ...evaluation.page import write_page
from ...evaluation.results import Result
from ..classification.statistics import Difference
from .papers import paper_rows
from .plan import DetectionPlan

SHOWN_IMAGES = 12
SHOWN_SCORE = 0.3
"""Boxes below this score are not drawn."""

_SIDE = 420  # pixels of the longer side
_TRUTH, _FOUND = (46, 125, 50), (198, 40, 40)


def write_detection_report(
    plan: DetectionPlan,
    out: Path,
    results: Sequence[Result],
    rows: Sequence[dict[str, Any]],
    differences: Sequence[Difference],
) -> Path:
    """Write ``report.html`` into the measurement's folder.

    Raises:
        RunError: It cannot be written.
    """
    assert plan.val is not None
    chosen = even_slice(len(plan.val), SHOWN_IMAGES)
    pictures = []
    found = [_read_predictions(out / f"{side.role}-seed{plan.seeds[0]}" / "predictions.json") for side in plan.sides]
    for index in chosen:
        drawn = [
            {"role": side.role, "uri": _drawn(plan.val, index, boxes)}
            for side, boxes in zip(plan.sides, found, strict=True)
        ]
        pictures.append({"identity": plan.val.identity(index), "sides": drawn})
    return write_page(
        out / "report.html",
        "detection.html.j2",
        title=f"{plan.dataset}: {plan.sides[0].reference}",
        protocol=plan.line(),
        engine=plan.engine.note,
        sides=[{"role": side.role, "reference": side.reference} for side in plan.sides],
        num_images=len(plan.val),
        seeds=list(plan.seeds),
        rows=list(rows),
        sentences=[difference.sentence for difference in differences if difference.metric in ("AP", "AP50")],
        classes=_class_rows(results),
        papers=paper_rows() if plan.spec.name == "coco" else [],
        settings=[{"name": name, **entry} for name, entry in plan.resolved.to_dict().items()],
        notes=[*plan.notes, *(line for result in results for line in result.details["built"])],
        unused=[
            {"role": side.role, "names": result.details["unused_weights"]}
            for side, result in zip(plan.sides, results, strict=True)
        ],
        pictures=pictures,
        score=SHOWN_SCORE,
    )


def _class_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    first = results[0].per_class[0]
    return [
        {"name": name, "count": count, "values": [result.per_class[0].values[label] for result in results]}
        for label, (name, count) in enumerate(zip(first.names, first.counts, strict=True))
    ]


def _read_predictions(path: Path) -> dict[Any, list[dict[str, Any]]]:
    """What was found, by image id; nothing where the file cannot be read."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[Any, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["image_id"], []).append(entry)
    return found


def _drawn(source: BoxSource, index: int, found: dict[Any, list[dict[str, Any]]]) -> Markup:
    """The image as a JPEG, the annotated boxes in green and what was found in red with class and score."""
    image = source.load(index)
    scale = min(1.0, _SIDE / max(image.size)) if max(image.size) > _SIDE else max(1, _SIDE // 2 // max(image.size))
    image = image.resize((round(image.size[0] * scale), round(image.size[1] * scale)), Image.Resampling.BILINEAR)
    canvas = ImageDraw.Draw(image)
    for box in source.objects_of(index).boxes.tolist():
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
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return Markup("data:image/jpeg;base64,") + Markup(base64.b64encode(buffer.getvalue()).decode())


def _corners(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, max(left, right), max(top, bottom)]
