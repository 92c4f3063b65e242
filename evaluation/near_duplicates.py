"""A page with the pairs that a curation took for copies of evaluation images, for a person to look at."""

from __future__ import annotations

import heapq
import json
from pathlib import Path

from ..base.errors import DataError
from ..engine.curation import Curation, CurationResult
from .page import data_uri, write_page

SHOWN = 300  # pairs on the page, the least alike; all are in the file beside it
_SMALL = 48  # pixels; below this an image is shown enlarged with its pixels visible


def write_near_duplicates(curation: Curation, result: CurationResult) -> Path:
    """Write ``near_duplicates.html`` into the curation's folder.

    Raises:
        RunError: The page cannot be written.
    """
    pairs = curation.out / "near_duplicates.jsonl"
    with open(pairs, encoding="utf-8") as file:
        records = (json.loads(line) for line in file)
        doubtful = heapq.nsmallest(SHOWN, records, key=lambda record: float(record["correlation"]))
    shown = []
    for record in doubtful:
        try:
            one, other = curation.images.load(record["image"]), curation.evaluation.load(record["evaluation"])
        except DataError:  # a file went away since
            continue
        small = max(*one.size, *other.size) <= _SMALL
        shown.append({**record, "uri": data_uri(one), "evaluation_uri": data_uri(other), "small": small})
    figures = {
        "images looked at": result.num_images,
        "pairs compared": result.num_compared,
        "images left out": result.num_duplicates,
        "images chosen": result.num_chosen,
    }
    page = pairs.with_suffix(".html")
    return write_page(page, "near_duplicates.html.j2", figures=figures, pairs=shown, file=pairs.name)
