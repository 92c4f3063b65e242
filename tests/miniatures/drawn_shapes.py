"""Detection data drawn from a seed: discs, squares and triangles on noise, in COCO's or VOC's layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("disc", "square", "triangle")
CATEGORY_IDS = (1, 3, 7)
"""With gaps, as COCO's own."""

Box = tuple[int, int, int, int]
Drawn = tuple[Image.Image, list[tuple[Box, int]]]


def draw(seed: int, *, width: int, height: int, most: int = 3, sizes: tuple[int, int] = (28, 56)) -> Drawn:
    """An image and its objects as (left, top, right, bottom) and class; objects do not overlap."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(90, 140, (height, width, 1)) + rng.integers(-15, 15, (height, width, 3))
    image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    objects: list[tuple[Box, int]] = []
    for _ in range(int(rng.integers(1, most + 1))):
        for _ in range(20):
            side = int(rng.integers(*sizes))
            left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
            box = (left, top, left + side, top + side)
            if all(box[2] < o[0] or o[2] < box[0] or box[3] < o[1] or o[3] < box[1] for o, _ in objects):
                break
        else:
            continue
        label = int(rng.integers(len(SHAPES)))
        colour = tuple(int(value) for value in np.roll([235, 40, 40], label) + rng.integers(-20, 20, 3))
        inner = (box[0], box[1], box[2] - 1, box[3] - 1)
        if SHAPES[label] == "disc":
            canvas.ellipse(inner, fill=colour)
        elif SHAPES[label] == "square":
            canvas.rectangle(inner, fill=colour)
        else:
            canvas.polygon(
                [(inner[0], inner[3]), (inner[2], inner[3]), ((inner[0] + inner[2]) / 2, inner[1])], fill=colour
            )
        objects.append((box, label))
    return image, objects


def write_coco(
    root: Path,
    *,
    train: int = 48,
    val: int = 12,
    size: tuple[int, int] = (128, 96),
    empty: Sequence[int] = (),
    **drawing: Any,
) -> Path:
    """COCO 2017's layout; the images at the places in ``empty`` have no annotation."""
    (root / "annotations").mkdir(parents=True)
    for split, count, first in (("train2017", train, 0), ("val2017", val, 100_000)):
        (root / split).mkdir()
        images, annotations = [], []
        for index in range(count):
            identity = first + 7 * index + 1
            width, height = size if index % 3 else size[::-1]
            image, objects = draw(identity, width=width, height=height, **drawing)
            image.save(root / split / f"{identity:012d}.jpg", quality=95)
            images.append({"id": identity, "file_name": f"{identity:012d}.jpg", "width": width, "height": height})
            for box, label in objects if index not in empty else ():
                annotations.append(
                    {
                        "id": 5 * len(annotations) + first + 1,
                        "image_id": identity,
                        "category_id": CATEGORY_IDS[label],
                        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                        "area": (box[2] - box[0]) * (box[3] - box[1]),
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": key, "name": name} for key, name in zip(CATEGORY_IDS, SHAPES, strict=True)]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    return root


def write_voc(root: Path, *, train: int = 6, val: int = 4, names: Sequence[str] = ("cat", "dog", "person")) -> Path:
    """VOC 2007's layout: an XML file an image; the first object of each second image is difficult."""
    base = root / "VOCdevkit" / "VOC2007"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    for split, count, first in (("trainval", train, 0), ("test", val, 500)):
        listed = []
        for index in range(count):
            name = f"{first + index:06d}"
            image, objects = draw(first + index, width=128, height=96)
            image.save(base / "JPEGImages" / f"{name}.jpg")
            parts = [
                f"<object><name>{names[label]}</name><difficult>{int(index % 2 == 1 and number == 0)}</difficult>"
                f"<bndbox><xmin>{box[0] + 1}</xmin><ymin>{box[1] + 1}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
                "</bndbox></object>"
                for number, (box, label) in enumerate(objects)
            ]
            size = "<size><width>128</width><height>96</height><depth>3</depth></size>"
            (base / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{''.join(parts)}</annotation>")
            listed.append(name)
        (base / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return root
