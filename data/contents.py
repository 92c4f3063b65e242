"""What tells images from others of the same names: the sizes of their files, or every byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping

import numpy as np

from ..base.errors import DataError
from .sources import ImageSource

GONE = -1
SIZES, CONTENTS = "sizes", "contents"


def file_stats(source: ImageSource) -> np.ndarray:
    """Size, inode and device of each image's file: int64, (N, 3); GONE where an image has no file, or it is not there.

    An image that lies in a larger file with others has a size alone.

    Raises:
        DataError: One is no regular file.
    """
    stats = np.full((len(source), 3), GONE, dtype=np.int64)
    if source.sizes is not None:
        stats[:, 0] = source.sizes
    for index in range(len(source)):
        path = source.file(index)
        if path is None:
            continue
        try:
            found = os.stat(path)
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{path} is no regular file", hint="remove it, or put the image itself there")
        # An inode may be larger than int64 holds.
        stats[index] = found.st_size, found.st_ino & (2**63 - 1), found.st_dev & (2**63 - 1)
    return stats


def sizes_digest(stats: np.ndarray) -> str | None:
    """SHA-256 of the sizes in `file_stats`; None where no image has a file."""
    sizes = stats[:, 0]
    if not len(sizes) or (sizes == GONE).all():
        return None
    return hashlib.sha256(sizes.astype("<i8").tobytes()).hexdigest()


def is_image_digest(key: str) -> bool:
    """Whether a setting that a run is fixed to says which images it saw, beyond their names and labels."""
    return key.endswith((f"_{SIZES}", f"_{CONTENTS}"))


def other_images(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """What to say where the digests in two runs' settings differ; an empty text where they do not."""
    changed = [key for key in now if is_image_digest(key) and before.get(key, now[key]) != now[key]]
    if not changed:
        return ""
    kind = "other sizes" if any(key.endswith(SIZES) for key in changed) else "other contents"
    return f"files of the same names have {kind} now ({', '.join(changed)})"


def contents_digest(source: ImageSource) -> str | None:
    """SHA-256 over every byte of every image's file, in order; None where no image has a file."""
    digest, any_file = hashlib.sha256(), False
    for index in range(len(source)):
        content = content_hash(source, index)
        any_file = any_file or content is not None
        digest.update(content or b"")
    return digest.hexdigest() if any_file else None


def content_hash(source: ImageSource, index: int) -> bytes | None:
    """BLAKE2b of the bytes of an image's file; None where it has none.

    Raises:
        DataError: It cannot be read.
    """
    content = source.encoded(index)
    return None if content is None else hashlib.blake2b(content, digest_size=32).digest()
