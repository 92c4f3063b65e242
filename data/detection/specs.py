"""Specs of detection data: ``coco[:PATH]`` or ``voc2007-detection[:PATH]``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, UsageError
from . import coco, voc
from .source import BoxSource

NAMES = ("coco", "voc2007-detection")
_FOLDERS = {"coco": "coco", "voc2007-detection": "voc2007"}
_GET = {"coco": coco.GET, "voc2007-detection": voc.GET}
EXPECTED = {"coco": coco.EXPECTED, "voc2007-detection": voc.EXPECTED}


@dataclass(frozen=True)
class DetectionSpec:
    """A detection data set by name, and where it lies.

    Attributes:
        name: One of NAMES.
        path: The folder, or None for ``$KDZOO_DATA/coco`` or ``$KDZOO_DATA/voc2007``.
    """

    name: str
    path: Path | None = None

    def __str__(self) -> str:
        return self.name if self.path is None else f"{self.name}:{self.path}"

    def resolved_path(self) -> Path | None:
        """The folder to read, or None where neither it nor KDZOO_DATA is given."""
        if self.path is not None:
            return self.path
        root = os.environ.get("KDZOO_DATA")
        return Path(root).expanduser() / _FOLDERS[self.name] if root else None

    @property
    def is_official(self) -> bool:
        """Whether it is the published set, rather than own data in its format."""
        return self.name != "coco" or self.path is None


def is_detection_spec(text: str) -> bool:
    """Whether a data spec names detection data."""
    return text.partition(":")[0] in NAMES


def parse_detection_spec(text: str) -> DetectionSpec:
    """Read a spec.

    Raises:
        UsageError: It names no detection data, or has an empty path.
    """
    name, colon, place = text.partition(":")
    if name not in NAMES:
        raise UsageError(f"{text!r} is no detection data", hint=f"write {' or '.join(f'{n}[:PATH]' for n in NAMES)}")
    if colon and not place:
        raise UsageError(f"the data spec {text!r} has no path after the colon", hint=f"write {name} or {name}:PATH")
    return DetectionSpec(name, Path(place).expanduser() if colon else None)


def open_detection(spec: str | DetectionSpec, split: str) -> BoxSource:
    """Open ``"train"`` or ``"val"`` of what a spec names.

    Raises:
        DataError: It is missing (with how to get it), or broken (the first broken entry).
    """
    parsed = parse_detection_spec(spec) if isinstance(spec, str) else spec
    path = place_of(parsed)
    if parsed.name == "coco":
        return coco.open_coco(path, split)
    return voc.open_voc_detection(path, split, parsed.name)


def place_of(spec: DetectionSpec) -> Path:
    """The folder of a spec.

    Raises:
        DataError: It is not there.
    """
    path = spec.resolved_path()
    if path is None:
        folder = _FOLDERS[spec.name]
        raise DataError(
            f"{spec.name} not found: no path was given and KDZOO_DATA is not set",
            hint=f"set KDZOO_DATA to the folder that holds {folder}/, or write {spec.name}:PATH; {_GET[spec.name]}",
        )
    if not path.is_dir():
        raise DataError(f"{spec.name} not found: looked for {path}/", hint=_GET[spec.name])
    return path
