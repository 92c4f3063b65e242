"""How many images and classes the official splits of data sets have."""

from __future__ import annotations

from .imagenetv2 import VARIANTS

EXPECTED_COUNTS = {
    "digits": {"train": (1437, 10), "val": (360, 10)},
    "cifar10": {"train": (50_000, 10), "val": (10_000, 10)},
    "cifar100": {"train": (50_000, 100), "val": (10_000, 100)},
    "imagenet": {"train": (1_281_167, 1000), "val": (50_000, 1000)},
    "imagenet-real": {"val": (50_000, 1000)},
    **{name: {"val": (10_000, 1000)} for name in VARIANTS},
    "voc2007": {"train": (5011, 20), "val": (4952, 20)},
    "cub200": {"train": (5994, 200), "val": (5794, 200)},
    "birdsnap": {"train": (47_386, 500), "val": (2443, 500)},
    "aircraft": {"train": (6667, 100), "val": (3333, 100)},
    "dtd": {"train": (3760, 47), "val": (1880, 47)},
    "sun397": {"train": (19_850, 397), "val": (19_850, 397)},
}
"""(images, classes) of each split, by data set."""
