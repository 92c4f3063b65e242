"""Where a named data set lies: at a given path, or in the folder of all data sets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from ..base.errors import DataError, UsageError
from .reading import AS_STORED, Reading, split_reading


def data_root() -> Path | None:
    """``$KDZOO_DATA``: the folder of the data sets that are given without a path."""
    root = os.environ.get("KDZOO_DATA")
    return Path(root).expanduser() if root else None


@dataclass(frozen=True)
class PlacedSpec:
    """A data set by name, and where it lies: ``NAME[:PATH]``.

    Attributes:
        KIND: What the data is of.
        NAMES: Of the data sets.
        NEED_PATH: Those that have no place of their own in ``$KDZOO_DATA``.
        name: Of the data set.
        path: The folder, or None for the data set's own in ``$KDZOO_DATA``.
        reading: How its files become images.
    """

    KIND: ClassVar[str]
    NAMES: ClassVar[tuple[str, ...]]
    NEED_PATH: ClassVar[tuple[str, ...]] = ()

    name: str
    path: Path | None = None
    reading: Reading = AS_STORED

    def __str__(self) -> str:
        return f"{self.name if self.path is None else f'{self.name}:{self.path}'}{self.reading}"

    @classmethod
    def is_named(cls, text: str) -> bool:
        """Whether a data spec names one of these data sets."""
        return text.partition(":")[0].partition("@")[0] in cls.NAMES

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a spec.

        Raises:
            UsageError: It names none of these data sets, or has no path where it needs one.
        """
        given, reading = split_reading(text)
        name, colon, place = given.partition(":")
        if name not in cls.NAMES:
            *forms, last = (f"{one}:PATH" if one in cls.NEED_PATH else f"{one}[:PATH]" for one in cls.NAMES)
            raise UsageError(f"{text!r} is no {cls.KIND} data", hint=f"write {', '.join(forms)} or {last}")
        if not place and (colon or name in cls.NEED_PATH):
            own = "" if name in cls.NEED_PATH else f"{name} or "
            raise UsageError(f"the data spec {text!r} has no path after the colon", hint=f"write {own}{name}:PATH")
        return cls(name, Path(place).expanduser() if colon else None, reading)

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
