"""A curation of unlabeled images: its data and teacher opened, its folder held while its stages run."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ..base.digests import sha256_of
from ..base.errors import DataError
from ..base.holding import hold_folder
from ..base.setting_values import default_workers
from ..base.writing import clear_errors, remove_leftovers
from ..data import open_source
from ..data.curation import ListedImages, list_to_file
from ..data.folders import require_folder, unlabeled_root
from ..data.listing import describe_left_out
from ..data.reading import split_reading
from ..zoo import load_model
from .class_match import has_published_order
from .curation_stages import Curation, CurationResult, CurationSettings
from .curation_state import CurationState, prepare_folder
from .distributed import choose_device
from .evaluate import eval_transform
from .progress import say
from .signals import StopRequest
from .teachers import TeacherEnsemble

__all__ = ["Curation", "CurationResult", "CurationSettings", "open_curation"]


@contextlib.contextmanager
def open_curation(
    unlabeled: str | Path,
    settings: CurationSettings,
    *,
    against: str,
    teacher: str,
    out: str | Path,
    workers: int | None,
    device: str,
    resume: bool,
) -> Iterator[Curation]:
    """Open the images, the evaluation data and the teacher; gives the curation and holds its folder meanwhile.

    Args:
        unlabeled: A folder of images, of any size; ``PATH@exif=apply`` turns them upright.
        settings: What to do.
        against: Data spec; no copy of an image of its validation split stays in.
        teacher: A model reference.
        out: The curation's folder.
        workers: Processes that read images; None for one a core, at most eight.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        resume: Whether a curation in ``out`` goes on.

    Raises:
        DataError: Data is missing or unreadable.
        RunError: ``out`` is in use.
        CheckpointError: What lies in ``out`` is damaged or belongs to other data, settings or weights.
    """
    place, reading = split_reading(str(unlabeled))
    folder, target = Path(place).expanduser(), Path(out).expanduser()
    require_folder(folder)
    root = Path(os.path.realpath(unlabeled_root(folder)))
    evaluation = open_source(against, "val")
    if evaluation.path is not None and Path(os.path.realpath(evaluation.path)).is_relative_to(root):
        raise DataError(
            f"the evaluation images lie in {root}, all of them would be left out",
            hint="give a folder that does not hold them",
        )
    state_folder = prepare_folder(target, resume=resume)
    where = choose_device(device)
    loaded = load_model(teacher, pretrained=True)
    teachers = TeacherEnsemble([loaded], where)
    with StopRequest() as stop, hold_folder(state_folder):
        for one in (target, state_folder):
            remove_leftovers(one, alone=True)
        # What the folder holds now; a resumed curation compares it with what it held.
        listing = state_folder / "images.list"
        left_out: Counter[str] = Counter()
        with clear_errors(listing):
            list_to_file(root, listing, left_out)
        unread = describe_left_out(left_out)
        for note in (*([f"{root}: {unread}"] if unread else []), *evaluation.notes):
            say(note)
        identity = {
            "unlabeled": f"{root}{reading}",
            "unlabeled_digest": sha256_of(listing),
            "against": against,
            "evaluation_digest": evaluation.fingerprint(),
            "teacher": loaded.reference,
            "teacher_digest": teachers.digest()[0],
            "device": where.type,
            "batch_size": settings.batch_size,
            "similarity": settings.similarity,
            "thresholds": asdict(settings.thresholds),
        }
        published = evaluation.class_names if has_published_order(loaded, evaluation) else ()
        yield Curation(
            images=ListedImages(root, listing, reading),
            evaluation=evaluation,
            teachers=teachers,
            transform=eval_transform(loaded.preprocessing),
            class_names=tuple(loaded.class_names or published),
            settings=settings,
            state=CurationState(target, identity),
            workers=default_workers(workers),
            device=where,
            stop=stop,
        )
