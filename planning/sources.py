"""A run's images: opened, and checked to be of one kind and of the same classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..base.errors import DataError, UsageError
from ..data import ConcatSource, ImageSource, open_source
from ..data.contents import file_stats, sizes_digest
from ..data.overlap import find_overlap, refuse_overlap
from ..data.pairs import open_pair
from ..data.unlabeled_pair import open_unlabeled_pair
from ..recipes.recipe import Recipe, Task


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
        UsageError: The labels are of another kind than the recipe learns.
    """
    settings = recipe.data
    if recipe.objective.task == "features":
        labelled, val = open_unlabeled_pair(settings.dataset, settings.val_dataset)
    else:
        labelled, val = open_pair(settings.dataset, settings.val_dataset)
        refuse_other_task(recipe, labelled.name, labelled.task)
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


_LABELS: dict[Task, str] = {
    "classification": "one class an image",
    "multilabel": "several classes an image",
    "regression": "numbers to predict",
}


def refuse_other_task(recipe: Recipe, data: str, has: Task) -> None:
    """Refuse data whose labels are of another kind than the recipe learns.

    Args:
        recipe: The recipe.
        data: The data's name.
        has: What can be learnt from it.

    Raises:
        UsageError: They are.
    """
    wants = recipe.objective.task
    if wants in ("features", has):
        return
    if "regression" in (wants, has):
        way = "use the recipes gaze and xcl_gaze on mpiigaze, and the other recipes on data with classes"
    elif hasattr(recipe.objective, "probabilities"):
        way = f"--set objective.probabilities={'sigmoid' if has == 'multilabel' else 'softmax'}"
    else:
        way = "leave --recipe out: the defaults of train and distill learn several classes"
    raise UsageError(f"{recipe.name} needs data with {_LABELS[wants]}, {data} has {_LABELS[has]}", hint=way)
