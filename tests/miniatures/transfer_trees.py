"""Miniatures of the transfer data sets in their own layouts on disk: few tiny images, real lists.

Every picture has its class's colour, so that a network can learn it in a few steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

VOC_CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
TRAIN, TEST = 6, 3
"""Images a class."""


def picture(path: Path, label: int, seed: int) -> None:
    """A JPEG of the class's colour with some noise, 40x36."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1000 * label + seed)
    colour = np.random.default_rng(77 + label).integers(0, 256, 3)
    pixels = np.clip(colour + rng.integers(-20, 21, (36, 40, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def write(path: Path, lines: list[str]) -> None:
    """A text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def voc2007(root: Path) -> Path:
    """VOCdevkit/VOC2007 as the two archives unpack; the first images show two classes, some objects are difficult."""
    base = root / "VOCdevkit" / "VOC2007"
    number = 0
    for split, count in (("trainval", 2), ("test", 1)):
        rows: list[tuple[str, dict[int, str]]] = []
        for label in range(20):
            for index in range(count):
                number += 1
                marks = {label: " 1"}
                if index == 0:
                    marks[(label + 1) % 20] = " 1"
                    marks[(label + 2) % 20] = " 0"
                picture(base / "JPEGImages" / f"{number:06d}.jpg", label, number)
                rows.append((f"{number:06d}", marks))
        for label, name in enumerate(VOC_CLASSES):
            lines = [f"{image} {marks.get(label, '-1')}" for image, marks in rows]
            write(base / "ImageSets" / "Main" / f"{name}_{split}.txt", lines)
        write(base / "ImageSets" / "Main" / f"{split}.txt", [image for image, _ in rows])
    return root


def cub200(root: Path) -> Path:
    """CUB_200_2011 with three classes; the splits are mixed, as in the real one."""
    base = root / "CUB_200_2011"
    names = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]
    images, labels, splits = [], [], []
    number = 0
    for label, name in enumerate(names):
        for index in range(TRAIN + TEST):
            number += 1
            relative = f"{name}/{name[4:]}_{number:04d}_{index}.jpg"
            picture(base / "images" / relative, label, number)
            images.append(f"{number} {relative}")
            labels.append(f"{number} {label + 1}")
            splits.append(f"{number} {int(index % 3 != 1)}")
    write(base / "classes.txt", [f"{label + 1} {name}" for label, name in enumerate(names)])
    write(base / "images.txt", images)
    write(base / "image_class_labels.txt", labels)
    write(base / "train_test_split.txt", splits)
    return root


def birdsnap(root: Path) -> Path:
    """birdsnap 1.1 after get_birdsnap.py: tab-separated lists, two training images that could not be fetched."""
    base = root / "birdsnap"
    names = ["Acadian Flycatcher", "Acorn Woodpecker", "Zone-tailed Hawk"]
    rows, test = [], []
    for label, name in enumerate(names):
        folder = name.replace(" ", "_").replace("-", "_")
        for index in range(TRAIN + TEST):
            relative = f"{folder}/{1000 * label + index}.jpg"
            if (label, index) not in {(0, 0), (1, 0)}:
                picture(base / "download" / "images" / relative, label, index)
            rows.append(f"http://farm.example/{index}.jpg\t0cc175b9\t{relative}\t{label + 1}\t1\t2\t30\t31")
            if index >= TRAIN:
                test.append(relative)
    species = [f"{label + 1}\t{name}\tGenus species\t{name.replace(' ', '_')}" for label, name in enumerate(names)]
    write(base / "species.txt", ["id\tcommon\tscientific\tdir", *species])
    write(base / "images.txt", ["url\tmd5\tpath\tspecies_id\tbb_x1\tbb_y1\tbb_x2\tbb_y2", *rows])
    write(base / "test_images.txt", ["path", *test])
    return root


def aircraft(root: Path) -> Path:
    """fgvc-aircraft-2013b with three variants, one with a slash in its name, in an order that is not sorted."""
    base = root / "fgvc-aircraft-2013b" / "data"
    names = ["737-200", "707-320", "F/A-18"]
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for label, name in enumerate(names):
        for index in range(TRAIN + TEST):
            image = f"{label}{index:06d}"
            picture(base / "images" / f"{image}.jpg", label, index)
            lists["test" if index >= TRAIN else "trainval"].append(f"{image} {name}")
    write(base / "variants.txt", names)
    write(base / "families.txt", ["Boeing 737", "Boeing 707", "F/A-18"])
    for split, lines in lists.items():
        write(base / f"images_variant_{split}.txt", lines)
    return root


def dtd(root: Path) -> Path:
    """dtd/ with three textures and two partitions of train, val and test."""
    base = root / "dtd"
    for partition in (1, 2):
        lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for label, name in enumerate(["banded", "blotchy", "braided"]):
            for index in range(TRAIN + TEST):
                relative = f"{name}/{name}_{index:04d}.jpg"
                if partition == 1:
                    picture(base / "images" / relative, label, index)
                split = ("train", "val", "test")[(index + partition) % 3]
                lists[split].append(relative)
        for split, lines in lists.items():
            write(base / "labels" / f"{split}{partition}.txt", lines)
    return root


def sun397(root: Path) -> Path:
    """SUN397/ and Partitions/: classes of two depths, an unsorted listing, images that no partition has."""
    names = ["/b/badlands", "/a/abbey", "/a/apartment_building/outdoor"]
    for label, name in enumerate(names):
        for index in range(TRAIN + TEST + 1):
            picture(root / "SUN397" / name.strip("/") / f"sun_{label}{index}.jpg", label, index)
    write(root / "Partitions" / "ClassName.txt", names)
    for partition in (1, 2):
        lists: dict[str, list[str]] = {"Training": [], "Testing": []}
        for label, name in reversed(list(enumerate(names))):
            for index in range(TRAIN + TEST):
                test = (index + partition) % 3 == 0
                lists["Testing" if test else "Training"].append(f"{name}/sun_{label}{index}.jpg")
        for kind, lines in lists.items():
            write(root / "Partitions" / f"{kind}_{partition:02d}.txt", lines)
    return root


def class_folders(root: Path) -> Path:
    """train/ and test/ with three classes."""
    for split, count in (("train", TRAIN), ("test", TEST)):
        for label, name in enumerate(["ant", "bee", "cow"]):
            for index in range(count):
                picture(root / split / name / f"{index}.jpg", label, index + (100 if split == "test" else 0))
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "voc2007": voc2007,
    "cub200": cub200,
    "birdsnap": birdsnap,
    "aircraft": aircraft,
    "dtd": dtd,
    "sun397": sun397,
}
"""The writer of each data set's miniature; it returns the path that a data spec names."""

COUNTS = {
    "voc2007": (40, 20),
    "cub200": (18, 9),
    "birdsnap": (16, 9),
    "aircraft": (18, 9),
    "dtd": (18, 9),
    "sun397": (18, 9),
}
"""Training and test images that a reader finds in each miniature."""
