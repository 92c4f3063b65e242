"""MATLAB 5 files, read without trust."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base.errors import DataError


def read_mat(path: Path, variables: Sequence[str], *, largest: int, hint: str, squeeze: bool = False) -> dict[str, Any]:
    """The variables of a file.

    Args:
        path: The file.
        variables: Their names.
        largest: Bytes; no file that is meant has more.
        hint: How to get a good file.
        squeeze: Whether dimensions of 1 are left out.

    Raises:
        DataError: It cannot be read, is too large, no MATLAB 5 file, or damaged, or lacks a variable.
    """
    from scipy.io import loadmat

    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(128)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}", hint=hint) from None
    if size > largest:
        raise DataError(f"{path} has {size:,} bytes, more than any such file", hint=hint)
    if not head.startswith(b"MATLAB 5.0"):
        raise DataError(f"{path} is no MATLAB 5 file", hint=hint)
    try:
        document: dict[str, Any] = loadmat(path, variable_names=tuple(variables), squeeze_me=squeeze)
    except Exception as error:  # scipy's reader raises whatever a damaged file makes it trip over
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} is damaged: {reason}", hint=hint) from None
    for name in variables:
        if name not in document:
            raise DataError(f"{path} has no variable {name!r}", hint=hint)
    return document
