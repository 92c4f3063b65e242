"""What is known of a plan's data before its run: read where it is there, as published where it is missing."""

from __future__ import annotations

import numpy as np

from ..base.errors import DataError
from ..data import ImageSource, open_source
from ..data.pairs import open_pair
from ..data.several_labels import accepted_labels
from ..data.unlabeled_pair import open_unlabeled_pair
from ..recipes.recipe import Recipe
from .plan import DataFacts

KNOWN_CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100, "imagenet": 1000}
"""Classes of data sets by name; of the others nothing is known before they are read."""

KNOWN_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "imagenet": 1_281_167, "mpiigaze": 36_000}
"""Training images of data sets by name."""

_KNOWN_SIZES = {"digits": (32, 32), "cifar10": (32, 32), "cifar100": (32, 32), "mpiigaze": (36, 60)}
_KNOWN_TARGETS = {"mpiigaze": 2}
SMALL_SIDE = 64
"""Square images of one size up to this side, pixels, are small ones: they are shown as they are."""

_LOOKED_AT = 9


def read_facts(recipe: Recipe) -> DataFacts:
    """What is known of a recipe's data; missing data is described, not raised."""
    spec = recipe.data.dataset
    bare = recipe.objective.task == "features"
    try:
        source, val = (open_unlabeled_pair if bare else open_pair)(spec, recipe.data.val_dataset)
        unlabeled = None if recipe.data.unlabeled is None else open_source(recipe.data.unlabeled, "unlabeled")
    except DataError as error:
        name = spec.partition(":")[0].partition("@")[0]
        return DataFacts(
            num_targets=_KNOWN_TARGETS.get(name, 0),
            num_classes=None if bare else KNOWN_CLASSES.get(name),
            num_images=KNOWN_IMAGES.get(name),
            native_size=_KNOWN_SIZES.get(name),
            missing=f"{error.message} ({error.hint})" if error.hint else error.message,
        )
    native_size, typical_side = _sizes(source)
    more = 0 if unlabeled is None else len(unlabeled)
    parts = (source, val) if unlabeled is None else (source, val, unlabeled)
    return DataFacts(
        class_sizes=None if bare or source.is_regression else _class_sizes(source),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        num_classes=None if bare or source.is_regression else len(source.class_names),
        num_targets=len(source.target_names) if source.is_regression else 0,
        multilabel=not bare and source.is_multilabel,
        num_images=len(source) + more,
        num_unlabeled=more,
        native_size=native_size,
        typical_side=typical_side,
    )


def _class_sizes(source: ImageSource) -> tuple[int, int] | None:
    """Images of the smallest and of the largest class; None where there are no classes."""
    answers = accepted_labels(source)
    counts = np.bincount(answers[answers >= 0], minlength=len(source.class_names))
    return (int(counts.min()), int(counts.max())) if counts.size else None


def _sizes(source: ImageSource) -> tuple[tuple[int, int] | None, int | None]:
    """Height and width that every image has, and the median short side, pixels; None where they vary or cannot be read.

    Of images in files a few are looked at, spread over the source.
    """
    if source.native_size is not None:
        return source.native_size, min(source.native_size)
    sizes = []
    for index in {round(position * (len(source) - 1) / (_LOOKED_AT - 1)) for position in range(_LOOKED_AT)}:
        try:
            sizes.append(source.load(index).size)
        except DataError:
            continue
    if not sizes:
        return None, None
    width, height = sizes[0]
    small = width == height <= SMALL_SIDE and len({*sizes}) == 1
    return (height, width) if small else None, sorted(min(size) for size in sizes)[len(sizes) // 2]
