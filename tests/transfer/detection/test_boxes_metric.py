"""Average precision against pycocotools, over the annotation file as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_shapes import write_coco

from kdzoo.base.errors import DataError
from kdzoo.data.detection import BoxSource, open_detection
from kdzoo.transfer.detection.detector import Detections, to_original
from kdzoo.transfer.detection.metrics import METRICS, measure_boxes, result_entries


def noisy(source: BoxSource, seed: int = 0) -> list[Detections]:
    """Fixed answers: the truth shaken, some of it missed, some of it doubled or of another class, and inventions."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(len(source)):
        own = source.image_objects(index)
        boxes, labels = [], []
        for box, label in zip(own.boxes, own.labels, strict=True):
            for _ in range(int(rng.integers(0, 3))):
                boxes.append(box + rng.normal(0, 4, 4))
                labels.append(int(label) if rng.random() < 0.8 else int(rng.integers(source.num_classes)))
        for _ in range(int(rng.integers(0, 3))):
            corner = rng.random(2) * 60
            boxes.append(np.concatenate([corner, corner + 5 + 60 * rng.random(2)]))
            labels.append(int(rng.integers(source.num_classes)))
        scores = torch.tensor(rng.random(len(boxes)), dtype=torch.float32)
        shaped = torch.tensor(np.array(boxes).reshape(-1, 4), dtype=torch.float32)
        found.append(Detections(shaped, scores, torch.tensor(labels, dtype=torch.int64)))
    return found


def change(document: dict[str, Any]) -> None:
    """Sizes of all three kinds, and crowds; areas that are not the boxes' own, as segmentations have them."""
    for index, entry in enumerate(document["annotations"]):
        entry["iscrowd"] = int(index % 7 == 3)
        entry["area"] = entry["bbox"][2] * entry["bbox"][3] * (0.5, 0.9, 6.0)[index % 3]


def test_every_number_is_pycocotools(tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    root = write_coco(tmp_path / "shapes", train=1, val=40, empty=(2, 5))
    file = root / "annotations" / "instances_val2017.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    source = open_detection(f"coco:{root}", "val")
    found = noisy(source)
    ours = measure_boxes(source, found)

    truth = COCO(str(file))
    entries = result_entries(found, source.image_ids, source.category_ids)
    judge = COCOeval(truth, truth.loadRes(entries), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    expected = dict(zip(METRICS, (100 * judge.stats[:6]).tolist(), strict=True))
    assert min(expected.values()) > 1  # every size and threshold has something to say
    assert ours.metrics == pytest.approx(expected, abs=1e-9)
    precision = judge.eval["precision"][:, :, :, 0, -1]
    per_class = [100 * precision[:, :, k][precision[:, :, k] > -1].mean() for k in range(3)]
    assert ours.per_class == pytest.approx(per_class, abs=1e-9)


def test_perfect_and_empty_answers(tmp_path: Path) -> None:
    source = open_detection(f"coco:{write_coco(tmp_path / 'shapes', train=1, val=6)}", "val")
    perfect = []
    for index in range(len(source)):
        own = source.image_objects(index)
        boxes = torch.tensor(own.boxes, dtype=torch.float32)
        perfect.append(Detections(boxes, torch.ones(len(own)), torch.tensor(own.labels)))
    assert measure_boxes(source, perfect).metrics["AP"] == pytest.approx(100)
    nothing = [Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))] * len(source)
    assert measure_boxes(source, nothing).metrics["AP50"] == 0
    with pytest.raises(DataError, match="no image of coco"):
        measure_boxes(source.take([]), [])


def test_boxes_go_back_to_the_stored_image() -> None:
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [-5.0, 0.0, 999.0, 999.0]])
    assert to_original(boxes, (100, 50), (200, 200)).tolist() == [[40, 40, 120, 120], [0, 0, 200, 200]]
