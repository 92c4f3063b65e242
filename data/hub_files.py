"""Whether a folder is a data set as the Hugging Face Hub keeps it, or was unpacked from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MANIFEST = "unpacked.json"
"""What `kdzoo data unpack` leaves beside train/, val/ and test/."""


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What was unpacked into a folder, or None where nothing was."""
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for split in found["splits"].values():
            dict(split["class_counts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found


def hub_files(folder: Path, deepest: int = 3) -> str | None:
    """``"parquet"`` or ``"arrow"`` where a folder holds such files, at most so many levels below it; else None."""
    for ending in ("parquet", "arrow"):
        if any(any(folder.glob(f"{'*/' * depth}*.{ending}")) for depth in range(deepest)):
            return ending
    return None
