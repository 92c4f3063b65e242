"""`digits`: real scans that are always there, because scikit-learn carries them.

1,797 handwritten digits, 8x8 pixels in 17 grey levels (E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998; its test part, as `sklearn.datasets.load_digits` has it).
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from PIL import Image

from ..base.errors import UsageError
from .randomness import epoch_order
from .sources import ArraySource

NUM_VAL = 360
SIZE = 32

LABELLED_A_CLASS = 7
NUM_UNLABELED = 1000
_DRAW = re.compile(r"(few|full)-(\d{1,19})")


def open_digits(split: str, part: str | None = None) -> ArraySource:
    """The scans of one split, 32x32 RGB.

    The split is fixed: 1,437 images to train on and 360 to evaluate on, each digit in proportion, the same for every
    seed of a run. The grey levels 0..16 become 0..255 (rounded), each 8x8 scan is enlarged four times with Pillow's
    bilinear filter, and the three channels are equal. ``"unlabeled"`` gives the training images without labels.

    Args:
        split: ``"train"``, ``"val"`` or ``"unlabeled"``.
        part: ``few-N`` draws another split with the seed N, of few labels: seven labelled scans of each digit to train
            on, 1,000 others without labels, and the other 727 to evaluate on. In ``full-N`` the 1,000 have labels, too.

    Raises:
        UsageError: The part is neither.
    """
    labels, enlarged = _scans()
    chosen = _positions(labels, split, part)
    pixels = enlarged[chosen]
    identities = [f"scan_{index:04d}" for index in chosen]
    if split == "unlabeled":
        return ArraySource("digits", split, (), np.full(len(chosen), -1), pixels, identities)
    return ArraySource("digits", split, [str(digit) for digit in range(10)], labels[chosen], pixels, identities)


def parse_draw(part: str) -> tuple[bool, int]:
    """Whether all training scans of a drawn split have labels, and its seed.

    Raises:
        UsageError: It is no such part.
    """
    match = _DRAW.fullmatch(part)
    if match is None:
        raise UsageError(f"digits have no part {part!r}", hint="write digits, digits@few-0 or digits@full-0")
    return match[1] == "full", int(match[2])


def _positions(labels: np.ndarray, split: str, part: str | None) -> np.ndarray:
    if part is None:
        in_val = _validation_mask(labels)
        return np.flatnonzero(in_val if split == "val" else ~in_val)
    all_labelled, seed = parse_draw(part)
    labelled = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        labelled[members[epoch_order(len(members), seed, digit, "few labels")[:LABELLED_A_CLASS]]] = True
    others = np.flatnonzero(~labelled)
    unlabeled = np.zeros(len(labels), dtype=bool)
    unlabeled[others[epoch_order(len(others), seed, 10, "few labels")[:NUM_UNLABELED]]] = True
    if split == "val":
        return np.flatnonzero(~labelled & ~unlabeled)
    if split == "train":
        return np.flatnonzero(labelled | unlabeled if all_labelled else labelled)
    return np.flatnonzero(unlabeled)


@cache
def _scans() -> tuple[np.ndarray, np.ndarray]:
    """Labels, int64, (1797,), and enlarged scans, uint8, (1797, 32, 32, 3); read once (6 MB)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.asarray(bunch.target, dtype=np.int64), np.stack([_enlarge(scan) for scan in np.asarray(bunch.images)])


def _validation_mask(labels: np.ndarray) -> np.ndarray:
    """True for the 360 validation scans: shares by largest remainder, members by a fixed permutation a class."""
    counts = np.bincount(labels)
    shares = counts * NUM_VAL / len(labels)
    quota = shares.astype(np.int64)
    for digit in np.argsort(quota - shares, kind="stable")[: NUM_VAL - int(quota.sum())]:
        quota[digit] += 1
    mask = np.zeros(len(labels), dtype=bool)
    for digit, count in enumerate(quota):
        members = np.flatnonzero(labels == digit)
        mask[members[epoch_order(len(members), 0, digit)[:count]]] = True
    return mask


def _enlarge(scan: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(np.rint(scan * (255 / 16)).astype(np.uint8))
    return np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR).convert("RGB"))
