"""``kdzoo curate`` as a function: open the data and the teacher, run the stages, write the page."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import DataError, RunError, UsageError

if TYPE_CHECKING:
    from .engine.curation import CurationResult

_MODULES = {"cv2": "opencv-python-headless"}


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
        unlabeled: A folder of images, of any size.
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
    _require_libraries()
    from dataclasses import replace

    from .base.digests import sha256_of
    from .base.holding import hold_folder
    from .base.writing import clear_errors, remove_leftovers
    from .data import open_source
    from .data.curation import ListedImages, Thresholds, list_to_file, require_images
    from .data.folders import require_folder, unlabeled_root
    from .data.listing import describe_left_out
    from .engine.class_match import has_published_order
    from .engine.curation import Curation, CurationSettings
    from .engine.curation_state import CurationState, prepare_folder
    from .engine.distributed import choose_device
    from .engine.evaluate import eval_transform
    from .engine.progress import say
    from .engine.signals import StopRequest
    from .engine.teachers import TeacherEnsemble
    from .evaluation.near_duplicates import write_near_duplicates
    from .zoo import load_model

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("'kdzoo curate' runs in one process", hint="start it without torchrun")
    changes: dict[str, Any] = {"inliers": inliers, "sift_correlation": correlation}
    thresholds = replace(Thresholds(), **{name: value for name, value in changes.items() if value is not None})
    settings = CurationSettings(top=top, batch_size=batch_size, thresholds=thresholds)
    if similarity is not None:
        settings = replace(settings, similarity=similarity)

    folder = Path(unlabeled).expanduser()
    require_folder(folder)
    root, target = Path(os.path.realpath(unlabeled_root(folder))), Path(out).expanduser()
    evaluation = open_source(against, "val")
    if _lies_in(evaluation.path, root):
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
        with clear_errors(listing):
            left_out: Counter[str] = Counter()
            require_images(root, list_to_file(root, listing, left_out))
        unread = describe_left_out(left_out)
        for note in (*([f"{root}: {unread}"] if unread else []), *evaluation.notes):
            say(note)
        images = ListedImages(root, listing)
        published = evaluation.class_names if has_published_order(loaded, evaluation) else ()
        names = loaded.class_names or published
        identity: dict[str, Any] = {
            "unlabeled": str(root),
            "unlabeled_digest": sha256_of(listing),
            "against": against,
            "evaluation_digest": evaluation.fingerprint(),
            "teacher": loaded.reference,
            "teacher_digest": teachers.digest()[0],
            "device": where.type,
            "batch_size": batch_size,
            "similarity": settings.similarity,
            "thresholds": asdict(thresholds),
        }
        curation = Curation(
            images=images,
            evaluation=evaluation,
            teachers=teachers,
            transform=eval_transform(loaded.preprocessing),
            class_names=tuple(names),
            settings=settings,
            state=CurationState(target, identity, resume=resume),
            workers=min(8, os.cpu_count() or 1) if workers is None else workers,
            device=where,
            stop=stop,
        )
        result = curation.run()
        figures = {
            "images looked at": result.num_images,
            "pairs compared": result.num_compared,
            "images left out": result.num_duplicates,
            "images chosen": result.num_chosen,
        }
        pairs = target / "near_duplicates.jsonl"
        write_near_duplicates(target / "near_duplicates.html", pairs, images.load, evaluation.load, figures)
    return result


def _require_libraries() -> None:
    missing = [name for module, name in _MODULES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise RunError(f"'kdzoo curate' needs {' and '.join(missing)}", hint="pip install 'kdzoo[curation]'")


def _lies_in(path: Path | None, root: Path) -> bool:
    return path is not None and Path(os.path.realpath(path)).is_relative_to(root)
