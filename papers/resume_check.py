"""Runs that lie in a reproduction's folder already: whether they were made with the settings they would have now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.run_documents import read_fixed
from .jobs import Job

if TYPE_CHECKING:
    from ..engine.run_folder import RunFolder
    from ..planning import Plan


def refuse_other_settings(job: Job, plan: Plan, out: Path) -> None:
    """Refuse a run that was begun with other settings; say nothing where none was begun.

    Args:
        job: The run.
        plan: Its plan.
        out: The reproduction's folder. It may have been moved since: students and teachers that were trained in it are
            known by their folders below it.

    Raises:
        CheckpointError: The settings were others.
        RunError: The folder holds something else.
    """
    from ..engine.run_folder import RunFolder
    from ..planning.batch_parts import with_recorded_parts

    own = [one.folder for one in (job.student, *job.teachers) if isinstance(one, Job)]
    for one in plan.stages or (plan,):
        folder = RunFolder(out / job.folder / (one.stage.folder if one.stage else ""))
        before, now = _fixed(folder), with_recorded_parts(one, folder.path).fixed()
        for name in ("student.model", "teachers.models"):
            if name in before and _below(before[name], own) == _below(now[name], own):
                now[name] = before[name]
        folder.refuse_if_taken({**before, **now}, resume=True)  # what is no setting (digests) is as it was


def _fixed(folder: RunFolder) -> dict[str, Any]:
    """What a run was fixed to when it began; empty where that cannot be read."""
    try:
        return read_fixed(folder.config)
    except (OSError, ValueError):
        return {}


def _below(references: Any, own: list[str]) -> list[str]:
    """References, those to the reproduction's own runs by their folder below it."""
    every = [references] if isinstance(references, str) else list(references or ())
    return [next((one for one in own if f"/{text}".endswith(f"/{one}")), text) for text in every]
