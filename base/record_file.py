"""Files that grow step by step and survive a kill: what was committed is known by its length and its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .writing import clear_errors, make_folder, sync

_BLOCK = 1 << 20
_HINT = "begin again in another --out, or remove this one"


class RecordFile:
    """Appends bytes; whatever was written after the last commit is cut off by the next one who opens it.

    Args:
        path: The file.
        committed: What `commit` gave, or None to begin anew. Without ``sha256`` the length alone is looked at.
        hint: What to do where the committed bytes are gone.

    Raises:
        CheckpointError: The committed bytes are not there, or are others.
    """

    def __init__(self, path: Path, committed: Mapping[str, Any] | None = None, *, hint: str = _HINT) -> None:
        self.path, self._hint = path, hint
        self._digest = hashlib.sha256()
        self._length = 0 if committed is None else int(committed["bytes"])
        make_folder(path.parent)
        with clear_errors(path):
            if committed is not None:
                self._read(committed.get("sha256"))
            is_new = not path.exists()
            self._file = open(path, "wb" if is_new else "r+b")  # noqa: SIM115 (open as long as the run)
            self._file.truncate(self._length)
            self._file.seek(self._length)
            if is_new:
                sync(path.parent)

    def _read(self, sha256: str | None) -> None:
        left = self._length
        if self.path.is_file():
            with open(self.path, "rb") as file:
                while left and (block := file.read(min(left, _BLOCK))):
                    self._digest.update(block)
                    left -= len(block)
        if left or sha256 not in (None, self._digest.hexdigest()):
            raise CheckpointError(f"{self.path} is damaged: it does not hold what was written to it", hint=self._hint)

    def append(self, data: bytes) -> None:
        """Add bytes; they reach the system before the call returns."""
        with clear_errors(self.path):
            self._file.write(data)
            self._file.flush()
        self._digest.update(data)
        self._length += len(data)

    def commit(self) -> dict[str, Any]:
        """Make what was written durable; returns its length and digest, to be stored."""
        with clear_errors(self.path):
            os.fsync(self._file.fileno())
        return {"bytes": self._length, "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
