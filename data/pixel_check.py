"""What `kdzoo data check` sees in decoded images: nearly constant ones, equal ones, those that are stored turned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from ..base.setting_values import MOST_WORKERS, default_workers
from .images import UnreadableImage
from .sources import ImageSource
from .workers import TaskIterator

FACTS = np.dtype([("pixels", "<u8"), ("constant", "?"), ("turned", "?")])
"""Of an image: a hash of its pixels (0 where it cannot be read), whether they are nearly constant, whether its file
asks to be turned."""

_LEAST_DEVIATION = 2.0  # of 255: a lens cap's noise; a page with one printed line has more
_SHOWN = 3
_CHUNK = 64  # images that a process decodes at once


def image_facts(source: ImageSource, index: int) -> tuple[int, bool, bool]:
    """One image's `FACTS`.

    Raises:
        UnreadableImage: It cannot be decoded.
    """
    return (*pixel_facts(source.load(index)), source.orientation(index) != 1)


class _Images(Protocol):
    """What `decode_all` needs of a source of images."""

    def __len__(self) -> int: ...

    def identity(self, index: int) -> str: ...


Source = TypeVar("Source", bound=_Images)


def decode_all(
    split: str,
    source: Source,
    describe: Callable[[Source, int], tuple[int, bool, bool]],
    workers: int | None,
    progress: Callable[[str, int, int], None] | None,
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Decode every image of a split.

    Args:
        split: Its name, for ``progress``.
        source: Its images.
        describe: Gives one image's `FACTS`; a function that can be pickled.
        workers: Processes that decode; None for one a core.
        progress: Called with (split, images done, images of the split).

    Returns:
        `FACTS`, (N,), and name and reason of each image that cannot be decoded.
    """
    facts = np.zeros(len(source), dtype=FACTS)
    unreadable: list[tuple[str, str]] = []
    processes = default_workers(workers, MOST_WORKERS)
    with TaskIterator(_DecodeTask(source, describe), range(-(-len(source) // _CHUNK)), workers=processes) as chunks:
        for number, (found, missing) in enumerate(chunks):
            start = number * _CHUNK
            facts[start : start + len(found)] = found
            unreadable += [(source.identity(index), reason) for index, reason in missing]
            if progress is not None:
                progress(split, start + len(found), len(source))
    return facts, unreadable


class _DecodeTask:
    def __init__(self, source: Any, describe: Callable[[Any, int], tuple[int, bool, bool]]) -> None:
        self.source, self.describe = source, describe

    def __call__(self, index: int) -> tuple[np.ndarray, list[tuple[int, str]]]:
        indices = range(index * _CHUNK, min((index + 1) * _CHUNK, len(self.source)))
        facts = np.zeros(len(indices), dtype=FACTS)
        unreadable = []
        for row, sample_id in enumerate(indices):
            try:
                facts[row] = self.describe(self.source, sample_id)
            except UnreadableImage as error:
                unreadable.append((sample_id, error.reason))
        return facts, unreadable


def pixel_facts(image: Image.Image) -> tuple[int, bool]:
    """The hash of an image's pixels, at least 1, and whether they are nearly constant."""
    digest = hashlib.blake2b(str(image.size).encode(), digest_size=8)
    digest.update(image.tobytes())
    deviation = np.asarray(image).reshape(-1, len(image.getbands())).std(axis=0).max()
    return max(1, int.from_bytes(digest.digest(), "little")), bool(deviation < _LEAST_DEVIATION)


def describe_facts(
    split: str,
    facts: np.ndarray,
    identity: Callable[[int], str],
    *,
    upright: bool,
    labels: np.ndarray | None = None,
) -> list[str]:
    """What should be known of a split's pixels, a line each.

    Args:
        split: Its name.
        facts: `FACTS`, (N,).
        identity: The name of an image.
        upright: Whether images are turned as their files ask.
        labels: int64, (N,), where each image has one.
    """
    lines = []
    constant = np.flatnonzero(facts["constant"])
    if len(constant):
        lines.append(f"{split}: {_images(len(constant))} nearly constant, such as {_names(constant, identity)}")
    turned = np.flatnonzero(facts["turned"])
    if len(turned):
        done = "turned upright" if upright else "read as stored (SPEC@exif=apply turns them)"
        shown = _names(turned, identity)
        lines.append(f"{split}: {_images(len(turned))} stored turned (EXIF orientation), such as {shown}: {done}")
    return [*lines, *_equal(split, facts, identity, labels)]


def _equal(split: str, facts: np.ndarray, identity: Callable[[int], str], labels: np.ndarray | None) -> list[str]:
    pixels = facts["pixels"]
    _, group, size = np.unique(pixels, return_inverse=True, return_counts=True)
    twins = np.flatnonzero((size[group] > 1) & (pixels != 0))
    if not len(twins):
        return []
    groups = [twins[group[twins] == number] for number in dict.fromkeys(group[twins].tolist())][:_SHOWN]
    shown = "; ".join(" = ".join(identity(int(one)) for one in same[:2]) for same in groups)
    apart = ""
    if labels is not None:
        order = twins[np.argsort(group[twins], kind="stable")]
        starts = np.flatnonzero(np.diff(group[order], prepend=-1))
        spread = np.maximum.reduceat(labels[order], starts) != np.minimum.reduceat(labels[order], starts)
        if spread.any():
            apart = f"; {int(spread.sum()):,} such {'groups have' if spread.sum() > 1 else 'group has'} several classes"
    return [f"{split}: {_images(len(twins))} equal to another one, pixel for pixel, such as {shown}{apart}"]


def _images(count: int) -> str:
    return f"{count:,} images are" if count > 1 else "1 image is"


def _names(indices: Sequence[int] | np.ndarray, identity: Callable[[int], str]) -> str:
    return ", ".join(identity(int(index)) for index in indices[:_SHOWN])
