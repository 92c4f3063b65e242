"""metrics.jsonl: what was learnt, a line a logging step and an evaluation; speed.jsonl: how fast.

The two are apart because the first is the same to the byte for a run that was killed and resumed; times never are.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from ..base.record_file import RecordFile
from ..base.run_documents import read_lines
from ..base.writing import write_file

_WITHOUT = "remove it: the run then goes on, and its log begins there"


def rounded(value: float) -> float | str:
    """Seven significant digits; what is not finite as a word, which JSON has no number for."""
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


class JsonLines:
    """A file of JSON lines that a resumed run cuts back to where its checkpoint stood.

    Args:
        path: The file.
        length: Bytes to keep; everything after them was written by steps that will be run again.
        sha256: Of these bytes; None where only their number is known.

    Raises:
        CheckpointError: The bytes to keep are not there, or are others.
    """

    def __init__(self, path: Path, length: int = 0, sha256: str | None = None) -> None:
        committed = {"bytes": length, "sha256": sha256}
        self._file = RecordFile(path, committed, hint=f"put {path.name} back as it was, or {_WITHOUT}")

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; it reaches the system before the call returns."""
        text = json.dumps({key: rounded(v) if isinstance(v, float) else v for key, v in line.items()})
        self._file.append(text.encode() + b"\n")

    def commit(self) -> dict[str, Any]:
        """Make every line durable; returns the file's length and digest."""
        return self._file.commit()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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
    path, lines = metrics.with_suffix(".csv"), read_lines(metrics)[0]
    table = io.StringIO()
    columns = list(dict.fromkeys(name for line in lines for name in line))
    rows = csv.DictWriter(table, columns, lineterminator="\n")
    rows.writeheader()
    rows.writerows(lines)
    write_file(path, table.getvalue())
    return path
