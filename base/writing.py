"""The one place that writes: files and folders that are there whole or not at all, and survive a crash of the machine.

Everything is written into a folder of the process's own beside its place, ``.kdzoo-….tmp``, synced, and renamed. The
folder is locked while its owner lives, so what a killed process left behind is known by a lock that nobody holds: the
next process that writes there removes it, and puts back what a half-done exchange of two folders had moved away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from safetensors import SafetensorError

from .errors import RunError

if TYPE_CHECKING:
    import numpy as np

Content = bytes | str | Path | Callable[[Path], object]
"""What a file shall hold: bytes, text, a copy of another file, or a function that is given the path, and either writes
the file or returns its bytes or text."""

_STAGE = re.compile(r"\.kdzoo-[0-9a-f]{12}\.tmp")
_OLD = "old."
_FULL = (errno.ENOSPC, errno.EDQUOT)
_tidied: set[str] = set()


@contextlib.contextmanager
def clear_errors(path: Path, *, option: str = "--out") -> Iterator[None]:
    """Turn the system's refusals to write ``path`` into one clear line each.

    Args:
        path: What is written.
        option: The one that chooses another place.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's error in words
        code, reason = getattr(error, "errno", None), str(error).lower()
        hint = f"choose another {option}"
        if code in _FULL or "no space left" in reason or "quota" in reason:
            message = f"the disk is full: {path} could not be written"
            hint = f"free some space, or choose another disk with {option}; then run the same command again"
        elif code in (errno.EACCES, errno.EPERM, errno.EROFS) or "permission denied" in reason:
            message = f"{path} cannot be written ({getattr(error, 'strerror', None) or error})"
        elif code in (errno.ENOTDIR, errno.EEXIST):
            wrong = next((one for one in (path, *path.parents) if one.exists() and not one.is_dir()), path)
            message = f"{path} could not be written: {wrong} is not a folder"
        else:
            message = f"{path} could not be written ({error})"
        raise RunError(message, hint=hint) from error


def make_folder(folder: Path, *, option: str = "--out") -> Path:
    """Make a folder, and those that it lies in, where there is none."""
    with clear_errors(folder, option=option):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_file(path: Path, content: Content, *, option: str = "--out") -> None:
    """Write a file, whole or not at all; an earlier one is replaced.

    Args:
        path: Where the file shall be. Its folder is made where there is none.
        content: A function is given a path of the same name in another folder.
        option: The one that chooses another place, for errors.

    Raises:
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    with clear_errors(path, option=option), _stage(path.parent) as stage:
        _fill(stage / path.name, content)
        os.replace(stage / path.name, path)
        sync(path.parent)


def write_json(path: Path, document: Any, *, option: str = "--out") -> None:
    """Write a JSON document, whole or not at all."""
    write_file(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n", option=option)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, option: str = "--out") -> None:
    """Write arrays as a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    write_file(path, lambda new: save_file(dict(arrays), new), option=option)


def write_folder(place: Path, files: Mapping[str, Content], *, option: str = "--out") -> Path:
    """Write a folder of files, whole or not at all; an earlier one is replaced with all that is in it.

    A kill between the two renames that replace a folder leaves the old one in this process's own folder; the next
    process that writes beside it puts it back.

    Args:
        place: The folder; a link to a folder stays one.
        files: Content by name, written in this order; a function finds the files before its own beside its path.
        option: The one that chooses another place, for errors.

    Raises:
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    real = Path(os.path.realpath(place))
    with clear_errors(place, option=option), _stage(real.parent) as stage:
        new = stage / "new"
        new.mkdir()
        for name, content in files.items():
            with clear_errors(place / name, option=option):
                _fill(new / name, content)
        sync(new)
        try:
            os.rename(new, real)  # where nothing is, or an empty folder
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            os.rename(real, stage / f"{_OLD}{real.name}")
            os.rename(new, real)
        sync(real.parent)
    return place


def link_file(source: Path, place: Path, *, option: str = "--out") -> None:
    """Give a file a second name: a hard link where the file system has them, else a copy; whole or not at all."""
    with clear_errors(place, option=option), _stage(place.parent) as stage:
        try:
            os.link(source, stage / place.name)
        except OSError:
            _fill(stage / place.name, source)
        os.replace(stage / place.name, place)
        sync(place.parent)


def open_scratch(path: Path, *, keep: bool = False) -> BinaryIO:
    """A file to write that is neither synced nor renamed: what reads it knows by other means whether it is whole.

    Args:
        path: The file.
        keep: Write after what is there.
    """
    return open(path, "ab" if keep else "wb")


def copy_file(source: Path, new: Path) -> None:
    """Copy a file's bytes to a path that `write_file` or `write_folder` gave."""
    shutil.copyfile(source, new)


def move_into_place(source: Path, place: Path, *, option: str = "--out") -> None:
    """Give a finished file or folder its name, on the same disk; an empty folder of that name is replaced."""
    with clear_errors(place, option=option):
        if source.is_dir() and hasattr(os, "sync"):
            os.sync()  # one for all the files: a name that says "whole" must not outlive a power cut without them
        sync(source)
        os.replace(source, place)
        sync(place.parent)


def remove_folder(folder: Path, *, option: str = "--out") -> None:
    """Delete a folder and all that is in it: what was kept until something else was finished."""
    with clear_errors(folder, option=option):
        shutil.rmtree(folder)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's own entries, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_leftover(name: str) -> bool:
    """Whether an entry of a folder is what a process was writing when it ended."""
    return name.startswith(".") and name.endswith(".tmp")


def remove_leftovers(folder: Path, *, alone: bool = False, below: bool = False) -> None:
    """Delete what killed processes left in a folder, and put back what they had moved away.

    Args:
        folder: Where to look.
        alone: Nobody else writes here (the folder is held), so that every temporary name is a leftover.
        below: Look into the folders in it, too: for what is finished and will not be written again.
    """
    if not folder.is_dir():
        return
    if below:
        inner = [Path(one.path) for one in os.scandir(folder) if one.is_dir(follow_symlinks=False)]
        for one in inner:
            if not is_leftover(one.name):
                remove_leftovers(one, alone=alone, below=True)
    for entry in [Path(one.path) for one in os.scandir(folder) if is_leftover(one.name)]:
        if _STAGE.fullmatch(entry.name):
            _remove_stage(entry, alone=alone)
        elif alone and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif alone:
            entry.unlink(missing_ok=True)


def _fill(path: Path, content: Content) -> None:
    given = content(path) if callable(content) else content
    if isinstance(given, Path):
        copy_file(given, path)
    elif isinstance(given, bytes | str):
        path.write_bytes(given.encode() if isinstance(given, str) else given)
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)  # as any new file: safetensors makes files that their owner alone can read
    sync(path)


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A locked folder of this process's own in ``folder``, gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    if str(folder.absolute()) not in _tidied:
        remove_leftovers(folder)
        _tidied.add(str(folder.absolute()))
    stage, lock = folder, -1
    while lock < 0:
        stage = folder / f".kdzoo-{secrets.token_hex(6)}.tmp"
        stage.mkdir()
        with contextlib.suppress(FileNotFoundError):  # it was taken for a leftover before it was locked
            lock = os.open(stage, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks: leftovers are then left
                fcntl.flock(lock, fcntl.LOCK_SH)
            if not stage.exists():
                os.close(lock)
                lock = -1
    try:
        yield stage
    finally:
        _restore(stage)
        os.close(lock)


def _remove_stage(stage: Path, *, alone: bool) -> None:
    with contextlib.suppress(OSError):  # its owner lives, or it is gone
        lock = os.open(stage, os.O_RDONLY)
        try:
            if not alone:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _restore(stage)
        finally:
            os.close(lock)


def _restore(stage: Path) -> None:
    """Take a stage away; a folder that was moved into it and not replaced comes back."""
    for old in stage.glob(f"{_OLD}*/"):
        place = stage.parent / old.name.removeprefix(_OLD)
        if not place.exists():
            with contextlib.suppress(OSError):
                os.rename(old, place)
    shutil.rmtree(stage, ignore_errors=True)
