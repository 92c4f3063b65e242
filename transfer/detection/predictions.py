"""What was found, kept in each run in COCO's results format with the annotation file's own ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...base.regular_files import read_json
from ...base.writing import write_json
from ...data.detection import BoxSource
from .detector import Detections
from .metrics import result_entries

PREDICTIONS = "predictions.json"
"""The file in each run's folder."""


def save_predictions(run: Path, val: BoxSource, found: Sequence[Detections]) -> None:
    """Write what was found in each image of the split.

    Raises:
        RunError: It cannot be written.
    """
    write_json(run / PREDICTIONS, result_entries(found, val.image_ids, val.category_ids))


def read_predictions(run: Path) -> dict[Any, list[dict[str, Any]]]:
    """What was found, by image id; nothing where the file cannot be read."""
    try:
        entries = read_json(run / PREDICTIONS)
    except (OSError, ValueError):
        return {}
    found: dict[Any, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["image_id"], []).append(entry)
    return found
