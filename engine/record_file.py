"""Files that grow step by step and survive a kill: what was committed is known by its length and its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .files import clear_os_errors

_BLOCK = 1 << 20


class RecordFile:
    """Appends bytes; whatever was written after the last commit is cut off by the next one who opens it.

    Args:
        path: The file.
        committed: What `commit` gave, or None to begin anew.

    Raises:
        CheckpointError: The committed bytes are not there, or are others.
    """

    def __init__(self, path: Path, committed: Mapping[str, Any] | None) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._length = 0 if committed is None else int(committed["bytes"])
        with clear_os_errors(path):
            if committed is not None:
                self._read(str(committed["sha256"]))
            self._file = open(path, "r+b" if committed is not None else "wb")  # noqa: SIM115
            self._file.truncate(self._length)
            self._file.seek(self._length)

    def _read(self, sha256: str) -> None:
        left = self._length
        if self.path.is_file():
            with open(self.path, "rb") as file:
                while left and (block := file.read(min(left, _BLOCK))):
                    self._digest.update(block)
                    left -= len(block)
        if left or not self.path.is_file() or self._digest.hexdigest() != sha256:
            raise CheckpointError(
                f"{self.path} is damaged: it does not hold what was written to it",
                hint="begin again in another --out, or remove this one",
            )

    def append(self, data: bytes) -> None:
        """Add bytes."""
        with clear_os_errors(self.path):
            self._file.write(data)
        self._digest.update(data)
        self._length += len(data)

    def commit(self) -> dict[str, Any]:
        """Make what was written durable; returns its length and digest, to be stored."""
        with clear_os_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        return {"bytes": self._length, "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
