"""``kdzoo curate`` as a function."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import RunError, UsageError

if TYPE_CHECKING:
    from .engine.curation import CurationResult


def curate(
    unlabeled: str | Path,
    *,
    against: str,
    teacher: str,
    out: str | Path,
    top: int = 4000,
    batch_size: int = 64,
    workers: int | None = None,
    device: str = "auto",
    similarity: float | None = None,
    inliers: int | None = None,
    correlation: float | None = None,
    resume: bool = False,
) -> CurationResult:
    """Choose unlabeled images: copies of evaluation images out, the teacher's best of each class in.

    Args:
        unlabeled: A folder of images, of any size; ``PATH@exif=apply`` turns them upright.
        against: Data spec; no copy of an image of its validation split stays in.
        teacher: A model reference.
        out: Folder for the manifest, the pairs and their page.
        top: Images kept a class.
        batch_size: Images the teacher takes at once.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        similarity: Least similarity for a close comparison, in place of the default.
        inliers: SIFT matches that must agree, in place of the default.
        correlation: Least correlation of images aligned by SIFT, in place of the default.
        resume: Go on with the curation in ``out``, or start it where there is none.

    Raises:
        DataError: Data is missing or unreadable.
        RunError: A library is missing, or ``out`` is in use.
        CheckpointError: What lies in ``out`` is damaged or belongs to other data, settings or weights.
        Interrupted: SIGTERM or SIGINT came; what was done is kept.
    """
    if importlib.util.find_spec("cv2") is None:
        raise RunError("'kdzoo curate' needs opencv-python-headless", hint="pip install 'kdzoo[curation]'")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("'kdzoo curate' runs in one process", hint="start it without torchrun")
    from .data.curation import Thresholds
    from .engine.curation import CurationSettings, open_curation
    from .evaluation.near_duplicates import write_near_duplicates

    settings = CurationSettings(
        top=top,
        batch_size=batch_size,
        thresholds=Thresholds(**_given(inliers=inliers, sift_correlation=correlation)),
        **_given(similarity=similarity),
    )
    with open_curation(
        unlabeled, settings, against=against, teacher=teacher, out=out, workers=workers, device=device, resume=resume
    ) as curation:
        result = curation.run()
        write_near_duplicates(curation, result)
    return result


def _given(**values: float | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
