"""A run's images: opened, and checked to be of one kind and of the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..data import ConcatSource, ImageSource, open_source
from ..errors import DataError
from .recipe import Recipe


@dataclass(frozen=True)
class Sources:
    """A run's images.

    Attributes:
        train: Labelled training images, then the unlabeled ones.
        val: Held-out labelled images of the same classes in the same order.
        class_names: In label order.
    """

    train: ImageSource
    val: ImageSource
    class_names: tuple[str, ...]


def open_sources(recipe: Recipe) -> Sources:
    """Open a recipe's data.

    Raises:
        DataError: Data is missing, or training and validation images have other classes or another class order.
    """
    settings = recipe.data
    labelled = open_source(settings.dataset, "train")
    val = open_source(settings.val_dataset or settings.dataset, "val")
    _check_task(recipe, labelled)
    if labelled.target_names != val.target_names:
        raise DataError(
            f"{settings.dataset} and {settings.val_dataset} have other targets",
            hint="train and evaluate on data with the same targets",
        )
    if labelled.class_names != val.class_names:
        raise DataError(
            f"training data {settings.dataset} and validation data {settings.val_dataset or settings.dataset} have "
            f"other classes: {_first_difference(labelled.class_names, val.class_names)}",
            hint="both need the same class folders",
        )
    train_source = labelled
    if settings.unlabeled is not None:
        train_source = ConcatSource([labelled, open_source(settings.unlabeled, "unlabeled")])
    return Sources(train_source, val, labelled.class_names)


def _check_task(recipe: Recipe, source: ImageSource) -> None:
    """Refuse data of another kind than the recipe learns from: numbers to predict, or several classes an image."""
    if source.class_names and source.targets is not None:
        raise DataError(
            f"an image of {source.name} shows several classes; recipes learn from one class an image",
            hint=f"'kdzoo transfer {source.name} --backbone REF' trains on several",
        )
    if (recipe.objective.task == "regression") != source.is_regression:
        has = f"the targets {' and '.join(source.target_names)}" if source.is_regression else "classes"
        wants = "numbers to predict" if recipe.objective.task == "regression" else "classes"
        other = "use the recipes gaze and xcl_gaze" if source.is_regression else "use mpiigaze, or a recipe for classes"
        raise DataError(f"{recipe.name} needs data with {wants}, {source.name} has {has}", hint=other)


def _first_difference(first: Sequence[str], second: Sequence[str]) -> str:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return f"class {index} is {one!r} in the one and {other!r} in the other"
    return f"{len(first)} and {len(second)} of them"
