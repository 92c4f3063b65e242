"""A model's outputs and a data set's labels: brought together by the classes' names, or refused; never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...data import ImageSource
from ...data.imagenet import wordnet_ids
from ...errors import DataError
from ...zoo import LoadedModel

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
        return logits.index_select(1, torch.tensor(self.columns, device=logits.device))


def match_classes(model: LoadedModel, source: ImageSource, *, trust: bool = False) -> ClassMatch:
    """Match a model's outputs with a data set's labels.

    A model of 1,000 classes whose names are not known is taken to have ImageNet's order on ImageNet's classes: all
    published ones do. On other data such a model is refused unless ``trust``.

    Args:
        trust: Take the order of a model without class names to be the data's, where their number agrees.

    Raises:
        DataError: The data has classes that the model lacks, names occur twice, or nothing says what the outputs are.
    """
    ours, theirs = model.class_names, source.class_names
    if source.target_names or source.targets is not None:
        raise DataError(
            f"{source.name} is not labelled with one class an image", hint="'kdzoo transfer' measures such data"
        )
    if not theirs:
        raise DataError(f"{source.name} ({source.split}) has no labels", hint="evaluate on class folders")
    counts = f"{model.reference} has {model.num_classes} classes, {source.name} has {len(theirs)}"
    if not ours:
        return _unnamed(model, source, counts, trust)
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
            f"{counts}, among them {', '.join(map(repr, strangers[:3]))}{more}, which the model does not know",
            hint="evaluate on data of the model's own classes; class folders must have the model's class names",
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


def _unnamed(model: LoadedModel, source: ImageSource, counts: str, trust: bool) -> ClassMatch:
    if model.num_classes != len(source.class_names):
        raise DataError(
            f"{counts}, and the model does not say what its classes are",
            hint="evaluate on data of the model's own classes",
        )
    if model.num_classes == 1000 and not trust:
        trust = wordnet_ids() == source.class_names
    if not trust:
        raise DataError(
            f"{model.reference} does not say what its {model.num_classes} classes are",
            hint=f"--trust-classes if their order is that of {source.name}: {', '.join(source.class_names[:3])}, …",
        )
    note = f"{model.reference} does not name its classes: their order is taken to be that of {source.name}"
    return ClassMatch("assumed", None, note)
