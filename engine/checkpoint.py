"""Checkpoints: the whole state of a run, written whole or not at all, each with its SHA-256.

A flipped bit in a tensor loads without an error, so a checkpoint is used only if its digest holds. The newest good one
is taken; when a newer one had to be passed over, that is said. A digest is written before its checkpoint gets its name:
a checkpoint without one was never finished by this code, and one whose digest does not hold is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..base.digests import sha256_of
from ..base.errors import CheckpointError
from ..base.writing import link_file, remove_leftovers, write_file
from .state_file import State, read_state, write_state

KEPT = 2


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` finished steps lies."""
    return folder / f"step-{step:09d}.safetensors"


def digest_path(checkpoint: Path) -> Path:
    """Where a checkpoint's digest lies."""
    return checkpoint.with_suffix(".sha256")


def is_good(checkpoint: Path) -> bool:
    """Whether the checkpoint's bytes are the ones that were written."""
    try:
        return sha256_of(checkpoint) in _digests(checkpoint)
    except OSError:
        return False


def finished(folder: Path) -> list[Path]:
    """The checkpoints that were written to the end, damaged since or not, the newest first."""
    return [path for path in _newest_first(folder) if digest_path(path).exists()]


def require_good(folder: Path) -> None:
    """Refuse a folder whose finished checkpoints are all damaged.

    Raises:
        CheckpointError: They are; none is overwritten.
    """
    if (there := finished(folder)) and not any(map(is_good, there)):
        raise CheckpointError(
            f"no checkpoint in {folder} is good", hint="start again in another --out, or delete this run folder"
        )


def save_checkpoint(folder: Path, step: int, state: State, *, best: bool = False) -> Path:
    """Write a checkpoint and its digest, then drop the older ones but ``KEPT``.

    Args:
        folder: The run's ``checkpoints`` folder.
        step: Finished steps.
        state: Everything the run needs to go on.
        best: Keep this one as ``best.safetensors`` too.

    Raises:
        RunError: The disk is full or the folder cannot be written; earlier checkpoints stay.
    """
    path = checkpoint_path(folder, step)
    before = _digests(path) if path.exists() else []

    def write(new: Path) -> None:
        write_state(new, state)
        _write_digests(path, [*before, sha256_of(new)])  # both hold until the new one has its name

    write_file(path, write)
    if before:
        _write_digests(path, [sha256_of(path)])
    if best:
        keep_as_best(path)
    _drop_older(path)
    return path


def keep_as_best(checkpoint: Path) -> None:
    """Make ``best.safetensors`` this checkpoint: a hard link where the file system has them, else a copy."""
    best = checkpoint.with_name("best.safetensors")
    link_file(checkpoint, best)
    link_file(digest_path(checkpoint), digest_path(best))


def newest_good(folder: Path, say: Callable[[str], None]) -> State | None:
    """The state in the newest checkpoint whose digest holds, or None where there is none to go on from.

    Args:
        folder: The run's ``checkpoints`` folder.
        say: Told of every newer checkpoint that had to be passed over.

    Raises:
        CheckpointError: There are finished checkpoints and none is good.
    """
    for path in _newest_first(folder):
        if is_good(path):
            return read_state(path)
        what = "is damaged (its SHA-256 does not hold)" if digest_path(path).exists() else "has no SHA-256"
        say(f"{path.name} {what}: taking the one before it")
    require_good(folder)
    return None


def tidy(folder: Path) -> None:
    """Take away what a kill left in a folder of checkpoints, which this process holds."""
    remove_leftovers(folder, alone=True)
    for digest in folder.glob("*.sha256"):
        checkpoint = digest.with_suffix(".safetensors")
        if not checkpoint.exists():
            digest.unlink(missing_ok=True)
        elif len(_digests(checkpoint)) > 1 and is_good(checkpoint):
            _write_digests(checkpoint, [sha256_of(checkpoint)])
    for path in _newest_first(folder)[:1]:
        if is_good(path):
            _drop_older(path)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _drop_older(checkpoint: Path) -> None:
    """Drop the checkpoints before one but ``KEPT`` in all; a later one is of another state of the run."""
    older = [path for path in _newest_first(checkpoint.parent) if path <= checkpoint]
    for old in older[KEPT:]:
        old.unlink(missing_ok=True)
        digest_path(old).unlink(missing_ok=True)


def _digests(checkpoint: Path) -> list[str]:
    """The digests that a checkpoint may have: one, while it is replaced two."""
    try:
        lines = digest_path(checkpoint).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.strip()]


def _write_digests(checkpoint: Path, digests: list[str]) -> None:
    lines = [f"{digest}  {checkpoint.name}\n" for digest in dict.fromkeys(digests)]
    write_file(digest_path(checkpoint), "".join(lines))
