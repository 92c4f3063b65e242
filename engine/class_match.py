"""A model's outputs and a data set's labels: brought together by the classes' names, or refused; never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..base.errors import DataError
from ..data import ImageSource
from ..data.imagenet import wordnet_ids
from ..zoo import LoadedModel
from .class_order import DATA, names_in_order

Kind = Literal["same", "reordered", "subset", "assumed"]


@dataclass(frozen=True)
class ClassMatch:
    """Which of a model's outputs stand for a data set's classes.

    Attributes:
        kind: ``same``; ``reordered``, the same classes in another order; ``subset``, where the data has some of the
            model's classes; or ``assumed``, where the model's names are not known and its order is taken on trust.
        columns: The model's output of each class of the data, in label order; None where they are the outputs.
        note: What the reader should know, or "".
    """

    kind: Kind
    columns: tuple[int, ...] | None = None
    note: str = ""

    def apply(self, logits: Tensor) -> Tensor:
        """The logits of the data's classes in their order, (B, C)."""
        if self.columns is None:
            return logits
        return logits.index_select(1, _on_device(self.columns, logits.device))


@lru_cache(maxsize=64)
def _on_device(columns: tuple[int, ...], device: torch.device) -> Tensor:
    """Columns as an index on the logits' device, int64, (C,); copied to an accelerator once."""
    with torch.inference_mode(False):  # kept for training too, whoever asks first
        return torch.tensor(columns, device=device)


def match_classes(
    model: LoadedModel, source: ImageSource, *, trust: bool = False, order: str | None = None
) -> ClassMatch:
    """Match a model's outputs with a data set's labels.

    A model of 1,000 classes whose names are not known is taken to have ImageNet's order on ImageNet's classes: all
    published ones do. On other data such a model is refused unless its order is given or trusted.

    Args:
        trust: Take the order of a model without class names to be the data's, where their number agrees.
        order: The order of a model whose own names are not known, or are not the data's: one of `class_order.ORDERS`,
            or a file of its class names.

    Raises:
        DataError: The data has classes that the model lacks, names occur twice, or nothing says what the outputs are.
    """
    theirs = source.class_names
    if source.target_names or source.targets is not None:
        raise DataError(
            f"{source.name} is not labelled with one class an image", hint="'kdzoo transfer' measures such data"
        )
    if not theirs:
        raise DataError(f"{source.name} ({source.split}) has no labels", hint="evaluate on class folders")
    if model.num_classes == 0:
        raise DataError(
            f"{model.reference} is a backbone without a classifier",
            hint="'kdzoo transfer DATA --backbone REF' measures it; 'kdzoo predict --embeddings' gives its features",
        )
    ours = _names_of(model, source, order)
    if not ours:
        return _unnamed(model, source, trust)
    if ours == theirs:
        return ClassMatch("same")
    for names, owner in ((ours, model.reference), (theirs, source.name)):
        if len(set(names)) != len(names):
            raise DataError(f"{owner} has several classes of one name", hint="rename them")
    position = {name: column for column, name in enumerate(ours)}
    strangers = [name for name in theirs if name not in position]
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise DataError(
            f"{_counts(model, source)}, among them {', '.join(map(repr, strangers[:3]))}{more}, which the model does "
            "not know",
            hint="use data of the model's own classes, in class folders of its class names; or give a file of the "
            "data's names for the model's classes, in the model's order: --classes FILE, of teachers "
            "--teacher-classes FILE",
        )
    columns = tuple(position[name] for name in theirs)
    if len(theirs) == len(ours):
        return ClassMatch("reordered", columns, f"{source.name} has the classes of {model.reference} in another order")
    return ClassMatch(
        "subset",
        columns,
        f"{source.name} has {len(theirs):,} of the {len(ours):,} classes of {model.reference}: answers are taken among "
        "these",
    )


def needs_order(model: LoadedModel, source: ImageSource) -> bool:
    """Whether a model does not name its classes, or names them otherwise than the data."""
    return not model.class_names or not set(source.class_names) <= set(model.class_names)


def _names_of(model: LoadedModel, source: ImageSource, order: str | None) -> tuple[str, ...]:
    """The classes of a model's outputs: its own names, or those that were given; empty where nothing says them."""
    if order is None or not needs_order(model, source):
        return model.class_names
    names = names_in_order(order, source.class_names)
    if len(names) != model.num_classes:
        what = f"the {order} order has" if order != DATA and len(names) == len(source.class_names) else f"{order} has"
        raise DataError(
            f"{model.reference} has {model.num_classes} classes, {what} {len(names)}",
            hint="a class file names every output of the model, a name a line, in the model's order",
        )
    return names


def _counts(model: LoadedModel, source: ImageSource) -> str:
    return f"{model.reference} has {model.num_classes} classes, {source.name} has {len(source.class_names)}"


def has_published_order(model: LoadedModel, source: ImageSource) -> bool:
    """Whether the data has ImageNet's 1,000 classes, whose order all published models share."""
    return model.num_classes == len(source.class_names) == 1000 and wordnet_ids() == source.class_names


def _unnamed(model: LoadedModel, source: ImageSource, trust: bool) -> ClassMatch:
    if model.num_classes != len(source.class_names):
        raise DataError(
            f"{_counts(model, source)}, and the model does not say what its classes are",
            hint="use data of the model's own classes",
        )
    if not trust and not has_published_order(model, source):
        raise DataError(
            f"{model.reference} does not say what its {model.num_classes} classes are",
            hint=f"--trust-classes if their order is that of {source.name}: {', '.join(source.class_names[:3])}, …; "
            "else --classes natural, string, or a file of their names, a name a line",
        )
    note = f"{model.reference} does not name its classes: their order is taken to be that of {source.name}"
    return ClassMatch("assumed", None, note)
