"""Where a named data set lies: at a given path, or in the folder of all data sets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import DataError
from .reading import AS_STORED, Reading


def data_root() -> Path | None:
    """``$KDZOO_DATA``: the folder of the data sets that are given without a path."""
    root = os.environ.get("KDZOO_DATA")
    return Path(root).expanduser() if root else None


@dataclass(frozen=True)
class PlacedSpec:
    """A data set by name, and where it lies.

    Attributes:
        name: Of the data set.
        path: The folder, or None for the data set's own in ``$KDZOO_DATA``.
        reading: How its files become images.
    """

    name: str
    path: Path | None = None
    reading: Reading = AS_STORED

    def __str__(self) -> str:
        return f"{self.name if self.path is None else f'{self.name}:{self.path}'}{self.reading}"

    def find(self, folder: str, get: str) -> Path:
        """The folder that holds it.

        Args:
            folder: Its name in ``$KDZOO_DATA``.
            get: How to get the data, for the hint.

        Raises:
            DataError: It is not there.
        """
        root = data_root()
        path = root / folder if self.path is None and root is not None else self.path
        if path is None:
            raise not_placed(self.name, folder, get)
        if not path.is_dir():
            raise DataError(f"{self.name} not found: looked for {path}/", hint=get)
        return path


def not_placed(name: str, folder: str, get: str) -> DataError:
    """The error of data that was named with no path while ``$KDZOO_DATA`` is not set."""
    return DataError(
        f"{name} not found: no path was given and KDZOO_DATA is not set",
        hint=f"set KDZOO_DATA to the folder that holds {folder}/, or write {name}:PATH; {get}",
    )
