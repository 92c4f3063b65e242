"""Images held out of class folders that have no validation folder: a share of each class, the same ones every time."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.amounts import first_few
from ..base.errors import UsageError
from .several_labels import label_groups, label_notes
from .sources import ImageSource
from .subset import SubsetSource


@dataclass(frozen=True)
class ValShare:
    """What is held out.

    Attributes:
        fraction: Of each class, in (0, 1).
        seed: Which images. It is no run's seed: runs of several seeds, teachers and students hold out the same images.
    """

    fraction: float
    seed: int = 0

    def __str__(self) -> str:
        return f"val-share={self.fraction!r}" + (f"@val-seed={self.seed}" if self.seed else "")


def parse_share(fraction: str, seed: str = "0") -> ValShare:
    """Raises UsageError where the texts are no share."""
    try:
        share = ValShare(float(fraction), int(seed))
    except ValueError:
        share = ValShare(math.nan)
    if not 0 < share.fraction < 1 or not 0 <= share.seed < 2**63:
        raise UsageError(
            f"a validation share is a number between 0 and 1 and its seed is 0 or more, got {fraction} and {seed}",
            hint="for example --val-share 0.1, or the data spec photos@val-share=0.1@val-seed=1",
        )
    return share


def share_indices(source: ImageSource, share: ValShare) -> np.ndarray:
    """The images that are held out: sorted positions, int64.

    An image's rank in its class follows from the seed and its identity alone. So the order of a listing plays no part,
    and where images are added or go, nearly all others stay on their side. Of two images or more each side gets one.
    """
    salt = f"{share.seed}\0".encode()
    ranks = np.array(
        [
            int.from_bytes(hashlib.blake2b(salt + os.fsencode(source.identity(index)), digest_size=8).digest(), "big")
            for index in range(len(source))
        ],
        dtype=np.uint64,
    )
    held, groups = [], label_groups(source)
    for label in np.unique(groups):  # images without labels are held out of all of them alike
        members = np.flatnonzero(groups == label)
        count = min(max(1, round(share.fraction * len(members))), len(members) - 1)
        held.append(members[np.argsort(ranks[members], kind="stable")[:count]])
    return np.sort(np.concatenate(held))


class SharedSource(SubsetSource):
    """One side of class folders of which a share is held out.

    Args:
        source: All images, labelled.
        share: What is held out.
        split: ``"val"`` for the images held out, ``"train"`` for the others, ``"unlabeled"`` for these without labels.
    """

    def __init__(self, source: ImageSource, share: ValShare, split: str) -> None:
        held = share_indices(source, share)
        indices = held if split == "val" else np.setdiff1d(np.arange(len(source)), held)
        bare = split == "unlabeled"
        super().__init__(
            source,
            indices,
            split=split,
            class_names=() if bare else None,
            labels=np.full(len(indices), -1, dtype=np.int64) if bare else None,
        )
        if bare:
            self.target_names, self.targets = (), None
        self.share = share
        self.notes = (*source.notes, *_share_notes(source, held, share), *label_notes(self))

    def description(self) -> dict[str, Any]:
        return {**super().description(), "val_share": self.share.fraction, "val_seed": self.share.seed}


def _share_notes(source: ImageSource, held: np.ndarray, share: ValShare) -> tuple[str, ...]:
    if not source.class_names or source.is_multilabel:
        return (f"{source.path}: {len(held):,} of {len(source):,} images are held out ({share})",)
    counts = np.bincount(source.labels[held], minlength=len(source.class_names))
    alone = [name for name, count in zip(source.class_names, counts, strict=True) if count == 0]
    fewest, most = int(counts.min(where=counts > 0, initial=len(held))), int(counts.max(initial=0))
    each = f"{fewest:,} a class" if fewest == most else f"{fewest:,} to {most:,} a class"
    place = source.path or source.name
    notes = [f"{place}: {len(held):,} of {len(source):,} images are held out, {each} ({share})"]
    if alone:
        which = "1 class has one image" if len(alone) == 1 else f"{len(alone)} classes have one image each"
        notes.append(f"{place}: {which}, trained on and not measured: {first_few(alone)}")
    return tuple(notes)
