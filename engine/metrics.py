"""metrics.jsonl: what was learnt, a line a logging step and an evaluation; speed.jsonl: how fast.

The two are apart because the first is the same to the byte for a run that was killed and resumed; times never are.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd

from .files import clear_os_errors, write_whole


def rounded(value: float) -> float | str:
    """Seven significant digits; what is not finite as a word, which JSON has no number for."""
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


class JsonLines:
    """A file of JSON lines that a resumed run cuts back to where its checkpoint stood.

    Args:
        path: The file.
        length: Bytes to keep; everything after them was written by steps that will be run again.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        with clear_os_errors(path):
            path.touch()
            os.truncate(path, min(length, path.stat().st_size))
            self._file = open(path, "ab")  # noqa: SIM115 (open as long as the run)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; it reaches the system before the call returns."""
        text = json.dumps({key: rounded(v) if isinstance(v, float) else v for key, v in line.items()})
        with clear_os_errors(self.path):
            self._file.write(text.encode() + b"\n")
            self._file.flush()

    def length(self) -> int:
        """Bytes so far, made durable first."""
        with clear_os_errors(self.path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a JSON-lines file; a last line cut short by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
    return lines


def length_until(path: Path, step: int) -> int:
    """Bytes of the lines up to ``step``; what comes after was written by steps that will be run again."""
    length = 0
    if path.exists():
        for text in path.read_bytes().splitlines(keepends=True):
            try:
                if json.loads(text)["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):
                break
            length += len(text)
    return length


def write_csv(metrics: Path) -> Path:
    """metrics.csv beside metrics.jsonl: the same lines as a table."""
    path = metrics.with_suffix(".csv")
    frame = pd.DataFrame(read_lines(metrics))
    write_whole(path, lambda temporary: frame.to_csv(temporary, index=False))
    return path
