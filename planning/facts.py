"""What is known of a plan's data before its run: read where it is there, as published where it is missing."""

from __future__ import annotations

from ..base.errors import DataError
from ..data import ImageSource, open_source
from ..data.pairs import open_pair
from ..recipes.recipe import Recipe
from .plan import DataFacts

KNOWN_CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100, "imagenet": 1000}
"""Classes of data sets by name; of the others nothing is known before they are read."""

_KNOWN_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "imagenet": 1_281_167, "mpiigaze": 36_000}
_KNOWN_SIZES = {"digits": (32, 32), "cifar10": (32, 32), "cifar100": (32, 32), "mpiigaze": (36, 60)}
_KNOWN_TARGETS = {"mpiigaze": 2}
_LOOKED_AT = 9


def read_facts(recipe: Recipe) -> DataFacts:
    """What is known of a recipe's data; missing data is described, not raised."""
    spec = recipe.data.dataset
    try:
        source, val = open_pair(spec, recipe.data.val_dataset)
        unlabeled = None if recipe.data.unlabeled is None else open_source(recipe.data.unlabeled, "unlabeled")
    except DataError as error:
        name = spec.partition(":")[0].partition("@")[0]
        return DataFacts(
            num_targets=_KNOWN_TARGETS.get(name, 0),
            num_classes=KNOWN_CLASSES.get(name),
            num_images=_KNOWN_IMAGES.get(name),
            native_size=_KNOWN_SIZES.get(name),
            missing=f"{error.message} ({error.hint})" if error.hint else error.message,
        )
    more = 0 if unlabeled is None else len(unlabeled)
    parts = (source, val) if unlabeled is None else (source, val, unlabeled)
    return DataFacts(
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        num_classes=None if source.is_regression else len(source.class_names),
        num_targets=len(source.target_names) if source.is_regression else 0,
        num_images=len(source) + more,
        num_unlabeled=more,
        native_size=source.native_size,
        typical_side=_typical_side(source),
    )


def _typical_side(source: ImageSource) -> int | None:
    """Median short side of a few images spread over the source, pixels; None where none can be read."""
    if source.native_size is not None:
        return min(source.native_size)
    sides = []
    for index in {round(position * (len(source) - 1) / (_LOOKED_AT - 1)) for position in range(_LOOKED_AT)}:
        try:
            sides.append(min(source.load(index).size))
        except DataError:
            continue
    return sorted(sides)[len(sides) // 2] if sides else None
