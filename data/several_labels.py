"""Images that show several classes, and those for which any of several answers is right (ImageNet's ReaL labels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..base.amounts import first_few
from .sources import FileSource, ImageSource


class SeveralLabelsSource(FileSource):
    """Images with a set of right answers each.

    ``labels`` has the answer where there is exactly one, and -1 elsewhere: code that knows of one label an image
    refuses such data rather than measure something else.

    Args:
        accepted: The right answers of each image; empty where the image does not count.
        root, paths, left_out: As `FileSource` has them.
    """

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        accepted: Sequence[Sequence[int]],
        root: Path,
        paths: Sequence[str],
        *,
        left_out: Mapping[str, int] | None = None,
    ) -> None:
        labels = np.array([answers[0] if len(answers) == 1 else -1 for answers in accepted], dtype=np.int64)
        super().__init__(name, split, class_names, labels, root, paths, left_out=left_out)
        self.accepted = _filled_up(accepted)
        self.accepted.flags.writeable = False

    def fingerprint(self) -> str:
        """As of any source, with the sets of answers."""
        import hashlib

        return hashlib.sha256(super().fingerprint().encode() + self.accepted.astype("<i4").tobytes()).hexdigest()


def accepted_labels(source: ImageSource) -> np.ndarray:
    """The right answers of each image: int32, (N, A), filled up with -1; all -1 where an image does not count."""
    if isinstance(source, SeveralLabelsSource):
        return source.accepted
    if source.is_multilabel:
        return _filled_up([np.flatnonzero(row == 1) for row in shown_classes(source)])
    return source.labels.astype(np.int32)[:, None]


def _filled_up(accepted: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    widest = max((len(answers) for answers in accepted), default=1) or 1
    table = np.full((len(accepted), widest), -1, dtype=np.int32)
    for row, answers in enumerate(accepted):
        table[row, : len(answers)] = answers
    return table


def shown_classes(source: ImageSource) -> np.ndarray:
    """Of images that show several classes: 1 where one is shown, 0 where not, NaN where it is not known; (N, C)."""
    assert source.targets is not None
    return source.targets


def label_groups(source: ImageSource) -> np.ndarray:
    """One number an image to share images out by: its class; of several that of the fewest images; -1 without any."""
    if not source.is_multilabel:
        return source.labels
    shown = shown_classes(source) == 1
    rarest_first = np.argsort(shown.sum(axis=0), kind="stable")
    return np.where(shown.any(axis=1), rarest_first[shown[:, rarest_first].argmax(axis=1)], -1)


def label_notes(source: ImageSource) -> tuple[str, ...]:
    """What is worth knowing of the labels of images that show several classes: which class none shows, and so on."""
    if not source.is_multilabel:
        return ()
    shown, place = shown_classes(source) == 1, f"{source.name} ({source.split})"
    absent = [name for name, there in zip(source.class_names, shown.any(axis=0), strict=True) if not there]
    what = ": the mAP leaves these out" if source.split == "val" else ""
    found = [f"{place}: no image shows {first_few(absent)}{what}"] if absent else []
    if bare := int((~shown.any(axis=1)).sum()):
        found.append(f"{place}: {bare:,} of {len(shown):,} images show none of the {len(source.class_names)} classes")
    return tuple(found)
