"""Checkpoints: the whole state of a run, written whole or not at all, each with its SHA-256.

A flipped bit in a tensor loads without an error, so a checkpoint is used only if its digest holds. The newest good one
is taken; when a newer one had to be passed over, that is said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..durable import sync
from ..errors import CheckpointError
from .files import clear_os_errors, sha256_of, write_whole
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
        return digest_path(checkpoint).read_text().split()[0] == sha256_of(checkpoint)
    except (OSError, IndexError):
        return False


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
    digest_path(path).unlink(missing_ok=True)  # a digest never speaks of other bytes than its own
    write_whole(path, lambda temporary: write_state(temporary, state))
    line = f"{sha256_of(path)}  {path.name}\n"
    write_whole(digest_path(path), lambda temporary: temporary.write_text(line))
    if best:
        keep_as_best(path)
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
        digest_path(old).unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return path


def keep_as_best(checkpoint: Path) -> None:
    """Make ``best.safetensors`` this checkpoint: a hard link where the file system has them, else a copy."""
    best = checkpoint.with_name("best.safetensors")
    for source, target in ((checkpoint, best), (digest_path(checkpoint), digest_path(best))):
        temporary = target.with_name(f".{target.name}.tmp")
        with clear_os_errors(target):
            temporary.unlink(missing_ok=True)
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
            os.replace(temporary, target)
            temporary.unlink(missing_ok=True)  # a rename onto another name of the same file leaves both
    sync(best.parent)


def newest_good(folder: Path, say: Callable[[str], None]) -> State | None:
    """The state in the newest checkpoint whose digest holds, or None where there is no checkpoint.

    Args:
        folder: The run's ``checkpoints`` folder.
        say: Told of every newer checkpoint that had to be passed over.

    Raises:
        CheckpointError: There are checkpoints and none is good.
    """
    candidates = sorted(folder.glob("step-*.safetensors"), reverse=True)
    for path in candidates:
        if is_good(path):
            return read_state(path)
        say(f"{path.name} is incomplete or damaged (its SHA-256 does not hold): taking the one before it")
    if candidates:
        raise CheckpointError(
            f"no checkpoint in {folder} is good",
            hint="start again in another --out, or delete this run folder",
        )
    return None


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left behind: temporary files, and digests without their checkpoint."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
    for digest in folder.glob("*.sha256"):
        if not digest.with_suffix(".safetensors").exists():
            digest.unlink(missing_ok=True)
