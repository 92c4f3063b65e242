"""Training and held-out images of a run that reads no label: any images will do, and some of them are held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base.errors import DataError
from .held_out import SharedSource, ValShare
from .sources import ImageSource
from .specs import DataSpec, open_source, parse_data_spec
from .splits import find_split
from .subset import SubsetSource

HELD_OUT, MOST_HELD_OUT = 0.05, 5000
"""Share of the images that is held out where nothing says which, and how many at most."""


def open_unlabeled_pair(dataset: str, val_dataset: str | None = None) -> tuple[ImageSource, ImageSource]:
    """Training and held-out images, none with a label.

    Args:
        dataset: Data spec. Of a set by name its training images; of a folder those of ``train/``, of ``unlabeled/`` or
            all, at any depth; or the images of a manifest.
        val_dataset: Data spec of the held-out images; by default the set's validation images, those of ``val/``, or
            a share of the training images.

    Raises:
        DataError: Data is missing, or too few images to hold any out.
    """
    spec = parse_data_spec(dataset)
    if spec.name != "folder" or spec.path is None:
        return open_source(spec, "unlabeled"), without_labels(_held_out(spec if val_dataset is None else val_dataset))
    whole = _images(spec, "train")
    if val_dataset is not None:
        return whole, without_labels(_held_out(val_dataset))
    if spec.val_share is None and spec.path.is_dir() and find_split(spec.path, spec.held_out or "val") is not None:
        return whole, without_labels(_images(spec, spec.held_out or "val"))
    share = spec.val_share or ValShare(round(min(HELD_OUT, MOST_HELD_OUT / len(whole)), 6))
    if len(whole) < 2:
        raise DataError(f"{spec.path} has one image: none can be held out", hint="add images, or give --val-data")
    return SharedSource(whole, share, "train"), SharedSource(whole, share, "val")


def _held_out(spec: str | DataSpec) -> ImageSource:
    """The validation images of a spec; of a folder without any, all of its images."""
    parsed = parse_data_spec(spec) if isinstance(spec, str) else spec
    return _images(parsed, parsed.held_out or "val") if parsed.name == "folder" else open_source(parsed, "val")


def _images(spec: DataSpec, split: str) -> ImageSource:
    """The images of a folder's split, or of the whole folder where it has none of that name."""
    assert spec.path is not None
    root = find_split(spec.path, split) if spec.path.is_dir() else None
    name = spec.path.resolve().name
    source = open_source(replace(spec, path=root or spec.path, held_out=None, val_share=None), "unlabeled")
    source.name = name
    return source


def without_labels(source: ImageSource) -> ImageSource:
    """The same images without their labels or targets."""
    return SubsetSource.of_labels(source, (), np.full(len(source), -1))
