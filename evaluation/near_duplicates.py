"""A page with the pairs that a curation took for copies of evaluation images, for a person to look at."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ..base.errors import DataError
from .page import data_uri, write_page

SHOWN = 300  # pairs on the page, the least alike; all are in the file beside it
_SMALL = 48  # pixels; below this an image is shown enlarged with its pixels visible

Load = Callable[[int], Image.Image]


def write_near_duplicates(path: Path, pairs: Path, images: Load, evaluation: Load, figures: dict[str, Any]) -> Path:
    """Write the page.

    Args:
        path: Where.
        pairs: ``near_duplicates.jsonl``: one confirmed pair a line.
        images: Gives an unlabeled image by its position.
        evaluation: Gives an evaluation image by its position.
        figures: What stands at the head, by name.

    Raises:
        RunError: The page cannot be written.
    """
    with open(pairs, encoding="utf-8") as file:
        records = (json.loads(line) for line in file)
        doubtful = heapq.nsmallest(SHOWN, records, key=lambda record: float(record["correlation"]))
    shown = []
    for record in doubtful:
        try:
            one, other = images(record["image"]), evaluation(record["evaluation"])
        except DataError:  # a file went away since
            continue
        small = max(*one.size, *other.size) <= _SMALL
        shown.append({**record, "uri": data_uri(one), "evaluation_uri": data_uri(other), "small": small})
    return write_page(path, "near_duplicates.html.j2", figures=figures, pairs=shown, file=pairs.name)
