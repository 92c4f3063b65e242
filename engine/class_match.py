"""A model's outputs and a data set's labels: brought together by the classes' names, or refused; never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..base.errors import DataError
from ..data import ImageSource
from ..data.imagenet import wordnet_ids
from ..zoo import LoadedModel
from .class_order import NATURAL, STRING, class_table, names_in_order
from .imagenet_names import imagenet_ids, published_names, shown

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

    A class of ImageNet may have its WordNet id on one side and a word for it on the other. A model of 1,000 classes
    whose names are not known is taken to have ImageNet's order on ImageNet's classes, or some of them: all published
    ones do (and those of ImageNet-21k, by their number, timm's). On other data such a model is refused unless its order
    is given or trusted.

    Args:
        trust: Take the order of a model without class names to be the data's, where their number agrees.
        order: The order of a model whose own names are not known, or are not the data's: one of `class_order.ORDERS`,
            a file of its class names, or one of what it calls the data's classes; see `class_order.class_table`.

    Raises:
        DataError: The data has classes that the model lacks, a name occurs twice or may be several classes, or nothing
            says what the outputs are.
    """
    theirs = source.class_names
    if not theirs:
        raise DataError(f"{source.name} ({source.split}) has no labels", hint="evaluate on class folders")
    if model.num_classes == 0:
        raise DataError(
            f"{model.reference} is a backbone without a classifier",
            hint="'kdzoo transfer DATA --backbone REF' measures it; 'kdzoo predict --embeddings' gives its features",
        )
    order = order if needs_order(model, source) else None
    table = None if order is None else class_table(order, theirs, source.name)
    wanted = theirs if table is None else tuple(table.get(name, name) for name in theirs)
    published = order_of_imagenet(model, wanted) if order is None or table is not None else ()
    ours = published or (_names_of(model, source, order) if table is None else model.class_names)
    if not ours and table is None:
        return _unnamed(model, source, trust)
    if ours == wanted:
        return ClassMatch("same")
    for names, owner in ((ours, model.reference), (theirs, source.name)):
        if len(set(names)) != len(names):
            raise DataError(f"{owner} has several classes of one name", hint="rename them")
    columns = _columns(model, source, ours, wanted, numbers=table is not None)
    if columns == tuple(range(model.num_classes)):
        return ClassMatch("same")
    if len(theirs) == model.num_classes:
        return ClassMatch("reordered", columns, f"{source.name} has the classes of {model.reference} in another order")
    taken = ", which names none and is taken to have ImageNet's order" if published else ""
    return ClassMatch(
        "subset",
        columns,
        f"{source.name} has {len(theirs):,} of the {model.num_classes:,} classes of {model.reference}{taken}: answers "
        "are taken among these",
    )


def _columns(
    model: LoadedModel, source: ImageSource, ours: Sequence[str], wanted: Sequence[str], *, numbers: bool
) -> tuple[int, ...]:
    """The output of each class of the data: the one of that name, or of one that ImageNet has for the same class.

    Args:
        model: Whose outputs.
        source: The data.
        ours: What the outputs are called.
        wanted: What the data's classes are called there, in label order.
        numbers: Whether what is no name may be an output's number.
    """
    position = {name: column for column, name in enumerate(ours)}
    same_id = _columns_of_ids(ours) if set(wanted) - position.keys() else {}
    strangers, columns = list[str](), list[int]()
    for label, name in zip(source.class_names, wanted, strict=True):
        ids = () if name in position else imagenet_ids(name)
        places = [position[name]] if name in position else [column for one in ids for column in same_id.get(one, ())]
        if not places and numbers and name.isdecimal() and len(name) < 10 and int(name) < model.num_classes:
            places = [int(name)]
        if places and (len(ids) > 1 or len(places) > 1):
            several = map(shown, ids) if len(ids) > 1 else (repr(ours[column]) for column in places)
            raise DataError(
                f"{model.reference} has several classes that {label!r} of {source.name} may be: {', '.join(several)}",
                hint=f"say which in a file, by a line '{label}', a tab and the model's class: {_FILE}",
            )
        strangers += [] if places else [label]
        columns += places
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise DataError(
            f"{_counts(model, source)}, among them {', '.join(map(repr, strangers[:3]))}{more}, which the model does "
            "not know",
            hint="use data of the model's own classes, in class folders of its class names; or give a file of the "
            f"data's names for the model's classes, in the model's order, or of lines '{strangers[0]}', a tab and the "
            f"model's class: {_FILE}",
        )
    _refuse_shared(model, source, columns)
    return tuple(columns)


_FILE = "--classes FILE, of teachers --teacher-classes FILE"


def _refuse_shared(model: LoadedModel, source: ImageSource, columns: Sequence[int]) -> None:
    first: dict[int, str] = {}
    for column, label in zip(columns, source.class_names, strict=True):
        if first.setdefault(column, label) != label:
            raise DataError(
                f"{model.reference} has one class for {first[column]!r} and {label!r} of {source.name}",
                hint=f"say another one in a file, by a line '{label}', a tab and the model's class: {_FILE}",
            )


def _columns_of_ids(names: Sequence[str]) -> dict[str, list[int]]:
    """The outputs of each WordNet id, of the names that can mean only one."""
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        ids = imagenet_ids(name)
        if len(ids) == 1:
            found.setdefault(ids[0], []).append(column)
    return found


def order_of_imagenet(model: LoadedModel, names: Sequence[str]) -> tuple[str, ...]:
    """The classes of a published model that names none, for data of some of them; empty where nothing speaks for it."""
    if model.class_names or model.num_classes == len(names) or not any(map(imagenet_ids, names)):
        return ()
    return published_names(model.num_classes)


def needs_order(model: LoadedModel, source: ImageSource) -> bool:
    """Whether a model does not name its classes, or names them otherwise than the data."""
    return not model.class_names or not set(source.class_names) <= set(model.class_names)


def _names_of(model: LoadedModel, source: ImageSource, order: str | None) -> tuple[str, ...]:
    """The classes of a model's outputs: its own names, or those that were given; empty where nothing says them."""
    if order is None:
        return model.class_names
    names = names_in_order(order, source.class_names)
    if len(names) != model.num_classes:
        what = f"the {order} order has" if order in (NATURAL, STRING) else f"{order} has"
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
            hint="use data of the model's own classes; or say which outputs are the data's, by lines "
            f"'{source.class_names[0]}', a tab and the output's number (from 0): {_FILE}",
        )
    if not trust and not has_published_order(model, source):
        raise DataError(
            f"{model.reference} does not say what its {model.num_classes} classes are",
            hint=f"--trust-classes if their order is that of {source.name}: {', '.join(source.class_names[:3])}, …; "
            "else --classes natural, string, or a file of their names, a name a line",
        )
    note = f"{model.reference} does not name its classes: their order is taken to be that of {source.name}"
    return ClassMatch("assumed", None, note)
