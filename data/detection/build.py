"""Putting a `BoxSource` together from a reader's lists, and saying what is odd about the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...base.amounts import first_few
from .source import BoxSource, Objects

BoxRow = tuple[int, tuple[float, float, float, float], int, bool, float]
"""Image's place, box (left, top, right, bottom), label, crowd, area."""

MAX_SIDE = 65_535
"""Pixels: the most that a JPEG file can say of its width and height."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedImages:
    """The images of a split and their boxes, as a reader found them.

    Attributes:
        folder: Of the images.
        files: Path of each image below ``folder``.
        ids: The annotation file's number or name of each image.
        sizes: Width and height of each image.
        rows: In any order, which is kept within each image.
    """

    folder: Path
    files: Sequence[str]
    ids: Sequence[int | str]
    sizes: Sequence[tuple[int, int]]
    rows: Sequence[BoxRow]


def build_source(
    name: str,
    split: str,
    images: AnnotatedImages,
    *,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    notes: Sequence[str] = (),
) -> BoxSource:
    """A source of what a reader found."""
    rows = images.rows
    places = np.array([row[0] for row in rows], dtype=np.int64)
    order = np.argsort(places, kind="stable")
    counts = np.bincount(places, minlength=len(images.files)).astype(np.int64)
    boxes = np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 4)[order]
    objects = Objects(
        boxes=boxes,
        labels=np.array([row[2] for row in rows], dtype=np.int64)[order],
        crowd=np.array([row[3] for row in rows], dtype=bool)[order],
        areas=np.array([row[4] for row in rows], dtype=np.float64)[order],
    )
    unseen = sorted(set(range(len(class_names))) - set(objects.labels[~objects.crowd].tolist()))
    if unseen and len(unseen) < len(class_names):
        shown = first_few([class_names[label] for label in unseen])
        notes = [*notes, f"no box of {shown}: {'not learnt' if split == 'train' else 'not measured'}"]
    extent = np.array(images.sizes, dtype=np.int32).reshape(-1, 2)
    return BoxSource(
        name=name,
        split=split,
        class_names=tuple(class_names),
        category_ids=tuple(category_ids),
        folder=images.folder,
        files=tuple(images.files),
        image_ids=tuple(images.ids),
        sizes=extent,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        objects=objects,
        notes=(*notes, *_oddities(objects, counts, np.repeat(extent, counts, axis=0))),
    )


def _oddities(objects: Objects, counts: np.ndarray, extent: np.ndarray) -> list[str]:
    notes = []
    empty = int((counts == 0).sum())
    if empty:
        notes.append(f"{empty:,} of {len(counts):,} images have no box: evaluated, not trained on")
    boxes = objects.boxes
    flat = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    if flat.any():
        notes.append(f"{int(flat.sum()):,} boxes have no area: left out of training")
    beyond = (boxes[:, :2] < -1).any(axis=1) | (boxes[:, 2:] > extent + 1).any(axis=1)
    outside = (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= extent).any(axis=1)
    if (outside & ~flat).any():
        notes.append(f"{int((outside & ~flat).sum()):,} boxes lie wholly outside their image: left out of training")
    if (beyond & ~outside).any():
        notes.append(f"{int((beyond & ~outside).sum()):,} boxes reach beyond their image: cut off at its edge")
    return notes
