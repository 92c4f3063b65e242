"""Images for which any of several answers is right, such as ImageNet's with the ReaL labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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
        widest = max((len(answers) for answers in accepted), default=1) or 1
        self.accepted = np.full((len(labels), widest), -1, dtype=np.int32)
        for row, answers in enumerate(accepted):
            self.accepted[row, : len(answers)] = answers
        self.accepted.flags.writeable = False

    def fingerprint(self) -> str:
        """As of any source, with the sets of answers."""
        import hashlib

        return hashlib.sha256(super().fingerprint().encode() + self.accepted.astype("<i4").tobytes()).hexdigest()


def accepted_labels(source: ImageSource) -> np.ndarray:
    """The right answers of each image: int32, (N, A), filled up with -1; all -1 where an image does not count."""
    if isinstance(source, SeveralLabelsSource):
        return source.accepted
    return source.labels.astype(np.int32)[:, None]
