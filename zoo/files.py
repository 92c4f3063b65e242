"""Files and model folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from ..durable import share, sync
from ..errors import ModelError, RunError

_FILES = {"config.json", "model.safetensors", "README.md"}


def write_folder(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Write a model folder beside its place, make it durable and rename it: a kill leaves the old one or the new one.

    Args:
        directory: The folder; an earlier model there is replaced.
        fill: Writes the files into the folder that it is given.

    Raises:
        ModelError: The place holds something else than a model.
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    _refuse_other_content(directory)
    temporary = directory.with_name(f".{directory.name}.tmp")
    with clear_errors(directory):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            fill(temporary)
            for path in temporary.iterdir():
                share(path)
                sync(path)
            sync(temporary)
            _replace_folder(temporary, directory)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return directory


def write_file(path: Path, fill: Callable[[Path], None]) -> Path:
    """Write a file through a temporary one beside it: synced, then renamed into place.

    Args:
        path: Where the file shall be.
        fill: Writes the content to the path that it is given, which has the same suffix.

    Raises:
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    with clear_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fill(temporary)
            share(temporary)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return path


@contextlib.contextmanager
def clear_errors(place: Path) -> Iterator[None]:
    """Turn the system's refusals to write ``place`` into one clear line each."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's error in words
        reason = str(error).lower()
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "no space left" in reason:
            message, hint = (
                f"the disk is full: {place} could not be written",
                "free some space, or choose another disk",
            )
        else:
            message, hint = f"{place} could not be written ({error})", "choose a place that can be written"
        raise RunError(message, hint=hint) from error


def _refuse_other_content(directory: Path) -> None:
    if directory.is_dir() and (others := {path.name for path in directory.iterdir()} - _FILES):
        raise ModelError(
            f"{directory} holds other files ({', '.join(sorted(others)[:3])}) and is not replaced",
            hint="choose an empty folder, or one that does not exist",
        )


def _replace_folder(new: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.rename(place, old)
    os.rename(new, place)
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)
