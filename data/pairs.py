"""Training images and the validation images that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError
from .layouts import absent_classes, no_split, single_class
from .several_labels import SeveralLabelsSource, label_notes
from .shards import require_held_out
from .sources import ImageSource
from .specs import SHARDED, DataSpec, open_source, parse_data_spec
from .subset import SubsetSource
from .table import require_table_split


def open_pair(dataset: str | DataSpec, val_dataset: str | None = None) -> tuple[ImageSource, ImageSource]:
    """Training and validation images, these with the labels of the training classes.

    Args:
        dataset: Data spec of the training images.
        val_dataset: Data spec of the validation images; the same data's by default.

    Raises:
        DataError: Data is missing, has a single class or no validation images, or those have a class that is not
            trained on.
    """
    spec = parse_data_spec(dataset) if isinstance(dataset, str) else dataset
    train = open_source(spec, "train")
    require_classes(train, spec)
    if val_dataset is not None:
        return train, relabelled(open_source(val_dataset, "val"), train)
    require_split(spec)
    return train, open_source(spec, "val")


def require_classes(source: ImageSource, spec: DataSpec) -> None:
    """Raises DataError for data of a single class, unless the spec says that it is meant, or images may lack it."""
    alone = len(source.class_names) == 1 and not source.is_multilabel
    if alone and not spec.one_class and source.path is not None:
        raise single_class(source.path, source.class_names[0], len(source))


def require_split(spec: DataSpec) -> None:
    """Raises DataError where training and validation images would be the same: folders or a table without a split."""
    if spec.name in SHARDED:
        require_held_out(spec)
    elif spec.is_table and spec.path is not None and spec.held_out is None and spec.val_share is None:
        require_table_split(spec.path, spec.options)
    elif spec.name == "folder" and spec.path is not None and spec.held_out is None and spec.val_share is None:
        wrong = no_split(spec.path)
        if wrong is not None:
            raise wrong


def relabelled(val: ImageSource, train: ImageSource) -> ImageSource:
    """Validation images under the labels of the training classes of the same names.

    Raises:
        DataError: Its classes are others, in name or kind.
    """
    same = val.class_names == train.class_names and val.is_multilabel == train.is_multilabel
    if same or not val.class_names or not train.class_names:
        return val
    strangers = [name for name in val.class_names if name not in set(train.class_names)]
    if val.is_multilabel and not train.is_multilabel:
        message = f"an image of {val.name} may show several classes, one of {train.name} shows one"
        raise DataError(message, hint="give validation data with one class an image")
    if strangers or isinstance(val, SeveralLabelsSource) or (val.targets is not None and not val.is_multilabel):
        unknown = f"; not trained on: {first_few(strangers)}" if strangers else ""
        raise DataError(
            f"training data {train.name} and validation data {val.name} have other classes: "
            f"{_first_difference(train.class_names, val.class_names)}{unknown}",
            hint="both need the same class names; the validation data may lack some",
        )
    numbers = np.array([train.class_names.index(name) for name in val.class_names], dtype=np.int64)
    if train.is_multilabel:
        return _as_several(val, train.class_names, numbers)
    labels = np.where(val.labels >= 0, numbers[val.labels], -1)
    mapped = SubsetSource.of_labels(val, train.class_names, labels)
    mapped.notes = (*val.notes, *_absent(val.name, labels, train.class_names))
    return mapped


def _as_several(val: ImageSource, class_names: tuple[str, ...], numbers: np.ndarray) -> SubsetSource:
    """Images under the labels of further classes, of which an image may show several.

    Args:
        val: The images; with one class each, they show no other.
        class_names: All classes; one that ``val`` has not is not known of images with several.
        numbers: Which of them each class of ``val`` is.
    """
    targets = np.full((len(val), len(class_names)), np.nan if val.is_multilabel else 0, dtype=np.float32)
    if val.targets is not None:
        targets[:, numbers] = val.targets
    else:
        labelled = np.flatnonzero(val.labels >= 0)
        targets[labelled, numbers[val.labels[labelled]]] = 1
    mapped = SubsetSource.of_labels(val, class_names, np.full(len(val), -1))
    mapped.target_names, mapped.targets = class_names, targets
    mapped.notes = tuple(dict.fromkeys((*val.notes, *label_notes(mapped))))
    return mapped


def _absent(name: str, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
    there = np.bincount(labels[labels >= 0], minlength=len(class_names))
    absent = [class_name for class_name, count in zip(class_names, there, strict=True) if not count]
    if not absent:
        return ()
    return (absent_classes(name, absent, len(class_names)),)


def _first_difference(first: Sequence[str], second: Sequence[str]) -> str:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return f"class {index} is {one!r} in the one and {other!r} in the other"
    return f"{len(first)} and {len(second)} of them"
