"""A run's images: opened, and checked to be of one kind and of the same classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..base.errors import DataError
from ..data import ConcatSource, ImageSource, open_source
from ..data.contents import file_stats, sizes_digest
from ..data.overlap import find_overlap, refuse_overlap
from ..data.pairs import open_pair
from ..data.unlabeled_pair import open_unlabeled_pair
from ..recipes.recipe import Recipe


@dataclass(frozen=True)
class Sources:
    """A run's images.

    Attributes:
        train: Labelled training images, then the unlabeled ones; all without labels where the recipe reads none.
        val: Held-out labelled images of the same classes in the same order, or without labels.
        class_names: In label order.
        sizes: ``{"data.train_sizes": digest}`` and the like, of what lies in files.
        warnings: What is probably wrong with the images, a line each.
    """

    train: ImageSource
    val: ImageSource
    class_names: tuple[str, ...]
    sizes: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def open_sources(recipe: Recipe) -> Sources:
    """Open a recipe's data.

    Raises:
        DataError: Data is missing, validation images are of classes that are not trained on, or are not held out.
    """
    settings = recipe.data
    if recipe.objective.task == "features":
        labelled, val = open_unlabeled_pair(settings.dataset, settings.val_dataset)
    else:
        labelled, val = open_pair(settings.dataset, settings.val_dataset)
        _check_task(recipe, labelled)
    if labelled.target_names != val.target_names:
        raise DataError(
            f"{settings.dataset} and {settings.val_dataset} have other targets",
            hint="train and evaluate on data with the same targets",
        )
    train_source = labelled
    if settings.unlabeled is not None:
        train_source = ConcatSource([labelled, open_source(settings.unlabeled, "unlabeled")])
    stats = {"data.train_sizes": file_stats(train_source), "data.val_sizes": file_stats(val)}
    overlap = find_overlap(train_source, val, *stats.values())
    sizes = {key: digest for key, one in stats.items() if (digest := sizes_digest(one)) is not None}
    return Sources(train_source, val, labelled.class_names, sizes, refuse_overlap(overlap))


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
