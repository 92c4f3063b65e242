"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..durable import share, sync
from ..errors import RunError

if TYPE_CHECKING:
    import numpy as np


@contextlib.contextmanager
def clear_os_errors(path: Path, *, option: str = "--out") -> Iterator[None]:
    """Turn the system's refusals to write below ``path`` into one clear line each.

    Args:
        path: What is written.
        option: The one that chooses another place.
    """
    again = "again with --resume" if option == "--out" else "the same command again"
    try:
        yield
    except OSError as error:
        reason = str(error).lower()
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "no space left" in reason or "quota" in reason:
            hint = f"free some space, or choose another disk with {option}; then run {again}"
            raise RunError(f"the disk is full: {path} could not be written", hint=hint) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) or "permission denied" in reason:
            raise RunError(
                f"{path} cannot be written ({error.strerror or error})", hint=f"choose another {option}"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise RunError(f"{path} is not a folder", hint=f"choose another {option}") from error
        raise RunError(f"{path} could not be written ({error})", hint=f"choose another {option}") from error


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make a folder where there is none, and keep other processes out of it.

    Raises:
        RunError: Another process holds it, or it cannot be made.
    """
    with clear_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 (held until the end)
    with lock:
        try:
            # A record lock is this process's alone: its loader's workers, which outlive a kill, hold none.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                f"{folder} is in use by another process", hint="wait for it, or use another --out"
            ) from error
        yield


def write_whole(path: Path, write: Callable[[Path], object], *, option: str = "--out") -> None:
    """Write a file through a temporary sibling: synced, renamed into place, its folder synced.

    Args:
        path: Where the file shall be.
        write: Writes the content to the path that it is given.
        option: The one that chooses another place, for errors.

    Raises:
        RunError: The disk is full or the folder cannot be written; nothing half-written stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with clear_os_errors(path, option=option):
        try:
            write(temporary)
            share(temporary)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, document: Any, *, option: str = "--out") -> None:
    """Write a JSON document whole or not at all; errors name the option."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), option=option)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, option: str = "--out") -> None:
    """Write arrays as a safetensors file, whole or not at all; errors name the option.

    Raises:
        RunError: The disk is full or the folder cannot be written; nothing half-written stays.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    def write(temporary: Path) -> None:
        try:
            save_file(dict(arrays), temporary)
        except SafetensorError as error:  # it wraps the system's error in words
            raise OSError(str(error)) from error

    write_whole(path, write, option=option)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
