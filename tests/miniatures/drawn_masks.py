"""Small segmentation sets in the published layouts: coloured shapes on a dark ground, each class of its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ((30, 30, 40), (220, 40, 40), (40, 200, 60))
VOID = -1


def draw(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, uint8 (H, W, 3), and places in COLOURS, int (H, W); an edge of `VOID` on the left."""
    rng = np.random.default_rng(seed)
    width, height = size
    labels = np.zeros((height, width), dtype=np.int64)
    y, x = np.mgrid[:height, :width]
    for label in (1, 2):
        middle = rng.uniform(0.25, 0.75, 2) * (height, width)
        half = rng.uniform(0.2, 0.3) * min(size)
        if label == 1:
            inside = (abs(y - middle[0]) < half) & (abs(x - middle[1]) < half)
        else:
            inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < half**2
        labels[inside] = label
    pixels = np.array(COLOURS)[labels] + rng.normal(0, 8, (height, width, 3))
    labels[:, :2] = VOID
    return np.clip(pixels, 0, 255).astype(np.uint8), labels


def _save(image: Path, mask: Path, seed: int, size: tuple[int, int], ids: Sequence[int], void: int) -> None:
    pixels, labels = draw(seed, size)
    image.parent.mkdir(parents=True, exist_ok=True)
    mask.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(image)
    stored = np.where(labels == VOID, void, np.array(ids)[np.maximum(labels, 0)]).astype(np.uint8)
    picture = Image.fromarray(stored)
    if mask.parent.name == "SegmentationClass":  # palette pictures, as VOC's
        picture = picture.convert("P")
        picture.putdata(stored.ravel().tolist())
        picture.putpalette([value % 256 for value in range(768)])
    picture.save(mask)


def write_cityscapes(root: Path, train: int = 6, val: int = 3, size: tuple[int, int] = (64, 48)) -> Path:
    """Road, car and person; the void edge is labelId 1 (ego vehicle)."""
    for split, city, count in (("train", "aachen", train), ("val", "munster", val)):
        for number in range(count):
            stem = f"{city}_{number:06d}_000019"
            image = root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png"
            mask = root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png"
            _save(image, mask, number + 100 * (split == "val"), size, (7, 26, 24), 1)
    return root


def write_voc(root: Path, train: int = 6, val: int = 3, size: tuple[int, int] = (64, 48)) -> Path:
    """Background, aeroplane and person."""
    place = root / "VOCdevkit" / "VOC2012"
    lists = place / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, count in (("train", train), ("val", val)):
        names = [f"2007_{number + 1000 * (split == 'val'):06d}" for number in range(count)]
        for number, name in enumerate(names):
            image = place / "JPEGImages" / f"{name}.jpg"
            mask = place / "SegmentationClass" / f"{name}.png"
            _save(image, mask, number + 100 * (split == "val"), size, (0, 1, 15), 255)
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return root


def write_ade20k(root: Path, train: int = 6, val: int = 3, size: tuple[int, int] = (64, 48)) -> Path:
    """Wall (stored as 1), person (13) and flag (150); the void edge is 0."""
    place = root / "ADEChallengeData2016"
    for split, word, count in (("train", "training", train), ("val", "validation", val)):
        for number in range(count):
            stem = f"ADE_{split}_{number + 1:08d}"
            image = place / "images" / word / f"{stem}.jpg"
            mask = place / "annotations" / word / f"{stem}.png"
            _save(image, mask, number + 100 * (split == "val"), size, (1, 13, 150), 0)
    return root


def write_pairs(root: Path, train: int = 6, val: int = 3, size: tuple[int, int] = (64, 48), named: bool = True) -> Path:
    """``images/`` and ``masks/``, ids 0 to 2."""
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            image = root / "images" / split / f"{number}.png"
            _save(
                image,
                root / "masks" / split / f"{number}.png",
                number + 100 * (split == "val"),
                size,
                (0, 1, 2),
                255,
            )
    if named:
        (root / "classes.txt").write_text("ground\nsquare\ndisc\n")
    return root
