"""A folder that one process at a time writes into."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from .errors import RunError
from .writing import clear_errors, make_folder

LOCK = ".lock"


@contextlib.contextmanager
def hold_folder(folder: Path, *, option: str = "--out") -> Iterator[None]:
    """Make a folder where there is none, and keep other processes out of it.

    Raises:
        RunError: Another process holds it, or it cannot be made.
    """
    make_folder(folder, option=option)
    with clear_errors(folder / LOCK, option=option):
        lock = open(folder / LOCK, "w")  # noqa: SIM115 (held until the end)
    with lock:
        try:
            # A record lock is this process's alone: its loader's workers, which outlive a kill, hold none.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = f"wait for it, or choose another {option}"
            raise RunError(f"{folder} is in use by another process", hint=hint) from error
        yield
