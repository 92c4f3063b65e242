"""Tells a file's kind before it is opened: reading a FIFO, a device or a socket may never end.

Imports the errors alone, so that every room may use it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from .errors import UsageError

_KINDS = {
    stat.S_IFIFO: "a FIFO (named pipe)",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}
_UNUSABLE = {errno.ELOOP: "a link that leads back to itself", errno.ENAMETOOLONG: "longer than a path may be"}


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to an ordinary file, behind links too. Nothing is opened; a looping link leads nowhere."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def special_kind(path: str | os.PathLike[str]) -> str | None:
    """What a path leads to that is neither file nor folder, in words; None for these and where there is nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except ValueError:
        return "no path (it holds a null byte, or bytes that are no text)"
    except OSError as error:
        return _UNUSABLE.get(error.errno or 0)


def refuse_special(path: Path, *, what: str) -> None:
    """Stop before a FIFO, a device, a socket or a looping link would be opened.

    Args:
        path: What is going to be opened. A folder, or nothing at all, is the caller's to name.
        what: What the user named it as, such as ``the recipe file``.

    Raises:
        UsageError: It is not an ordinary file.
    """
    kind = special_kind(path)
    if kind is not None:
        raise UsageError(f"{what} {path} is {kind}, not a file", hint="copy what it holds into an ordinary file")


def read_json(path: Path) -> Any:
    """A JSON document from an ordinary file.

    Raises:
        OSError: There is none, or it is a FIFO, a device or the like: it is not opened.
        ValueError: It is no text, no JSON, or nested too deeply to be read.
    """
    kind = special_kind(path)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
