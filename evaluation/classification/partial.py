"""What an evaluation has done so far, in a small file beside the results: the same command goes on from there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...base.writing import write_arrays

Arrays = dict[str, np.ndarray]


class PartialFile:
    """One process's share of one evaluation.

    The file's name is made from everything that the numbers depend on, so another evaluation never goes on from it.

    Args:
        folder: The results' folder.
        identity: What the numbers depend on: data, weights, preprocessing, batch size; JSON values.
        rank: Of the process.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], rank: int) -> None:
        text = json.dumps(identity, sort_keys=True)
        self._stem = f".eval-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
        self._folder = folder
        self._path = folder / f"{self._stem}-{rank}.partial"

    def write(self, batches: np.ndarray, timing: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the answers of some batches, in place of what was kept before.

        Args:
            batches: Their numbers, int64.
            timing: float64; how many images were timed, the seconds of it all, those of each model.
            arrays: By name, the images of these batches one after the other.

        Raises:
            RunError: The folder cannot be written.
        """
        numbers = np.ascontiguousarray(batches, dtype=np.int64)
        write_arrays(
            self._path, {"batches": numbers, "timing": timing.astype(np.float64), **arrays}, option="--results"
        )

    def read_all(self) -> list[tuple[np.ndarray, np.ndarray, Arrays]]:
        """What every process of this evaluation has kept; files that are damaged are passed over."""
        found = []
        for path in sorted(self._folder.glob(f"{self._stem}-*.partial")):
            with contextlib.suppress(SafetensorError, KeyError, ValueError, OSError), safe_open(path, "np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                found.append((arrays.pop("batches"), arrays.pop("timing"), arrays))
        return found

    def delete_all(self, *, but_own: bool = False) -> None:
        """Delete what the processes of this evaluation have kept."""
        for path in self._folder.glob(f"{self._stem}-*.partial"):
            if not (but_own and path == self._path):
                path.unlink(missing_ok=True)
