"""COCO's average precision, by faster-coco-eval: the same numbers as pycocotools (a test compares them)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...base.errors import DataError
from ...data.detection import BoxSource
from .detector import Detections

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
"""AP@[.5:.95], at 0.5, at 0.75, and of small (under 32x32 pixels), medium and large (over 96x96) objects."""

INSTALL = "pip install 'kdzoo[detection]'"


@dataclass(frozen=True)
class BoxScores:
    """What a detector reached on a split.

    Attributes:
        metrics: Percent, by name (METRICS); a size of which there is no object is left out.
        per_class: AP of each class in percent, in label order; None where a class has no object.
    """

    metrics: Mapping[str, float]
    per_class: tuple[float | None, ...]


def require_metric() -> None:
    """Refuse early where the metric is not installed.

    Raises:
        DataError: faster-coco-eval is not importable; says how to get it.
    """
    if importlib.util.find_spec("faster_coco_eval") is None:
        raise DataError("measuring average precision needs faster-coco-eval, which is not installed", hint=INSTALL)


def measure_boxes(source: BoxSource, found: Sequence[Detections]) -> BoxScores:
    """COCO's metrics of what was found, an entry an image of the source.

    Crowds (and VOC's difficult objects) are neither hits nor misses, as COCO has it.

    Raises:
        DataError: The split has no object to find; or faster-coco-eval is not installed.
    """
    require_metric()
    from faster_coco_eval import COCO, COCOeval_faster

    if not (~source.objects.crowd).any():
        raise DataError(f"no image of {source.name} ({source.split}) has a box", hint="evaluate on images with objects")
    truth = COCO(truth_document(source))
    answers = result_entries(found)
    if not answers:
        zero = dict.fromkeys(METRICS, 0.0)
        counts = source.boxes_per_class()
        return BoxScores(zero, tuple(0.0 if count else None for count in counts))
    judge = COCOeval_faster(truth, truth.loadRes(answers), "bbox", print_function=_quiet)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    values = [float(value) for value in judge.stats[: len(METRICS)]]
    metrics = {name: 100 * value for name, value in zip(METRICS, values, strict=True) if value >= 0}
    precision = np.asarray(judge.eval["precision"])  # (thresholds, recalls, classes, areas, detections)
    per_class: list[float | None] = []
    for label in range(source.num_classes):
        cells = precision[:, :, label, 0, -1]
        cells = cells[cells > -1]
        per_class.append(100 * float(cells.mean()) if cells.size else None)
    return BoxScores(metrics, tuple(per_class))


def truth_document(source: BoxSource) -> dict[str, Any]:
    """The split as a COCO document; images and classes are numbered from 1 in the source's order."""
    annotations = []
    places = np.repeat(np.arange(len(source)), np.diff(source.starts))
    own = source.objects
    for row, (place, box) in enumerate(zip(places.tolist(), own.boxes.tolist(), strict=True)):
        annotations.append(
            {
                "id": row + 1,
                "image_id": place + 1,
                "category_id": int(own.labels[row]) + 1,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": float(own.areas[row]),
                "iscrowd": int(own.crowd[row]),
            }
        )
    sizes = source.sizes.tolist()
    return {
        "images": [
            {"id": i + 1, "width": w, "height": h, "file_name": source.files[i]} for i, (w, h) in enumerate(sizes)
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(source.class_names)],
        "annotations": annotations,
    }


def result_entries(
    found: Sequence[Detections], image_ids: Sequence[Any] | None = None, category_ids: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """COCO's results format: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height) and ``score``.

    Args:
        found: An entry an image.
        image_ids: Of the images; 1, 2, 3 … by default.
        category_ids: Of the classes, in label order; 1, 2, 3 … by default.
    """
    entries = []
    for place, one in enumerate(found):
        image = place + 1 if image_ids is None else image_ids[place]
        rows = zip(one.boxes.double().tolist(), one.scores.tolist(), one.labels.tolist(), strict=True)
        for (left, top, right, bottom), score, label in rows:
            category = label + 1 if category_ids is None else category_ids[label]
            box = [left, top, right - left, bottom - top]
            entries.append({"image_id": image, "category_id": category, "bbox": box, "score": score})
    return entries


def _quiet(*_: object) -> None:
    pass
