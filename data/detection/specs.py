"""Specs of detection data: ``coco[:PATH]`` or ``voc2007-detection[:PATH]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...base.errors import DataError, UsageError
from ..places import PlacedSpec
from ..reading import split_reading
from . import coco, voc
from .source import BoxSource

NAMES = ("coco", "voc2007-detection")
_FOLDERS = {"coco": "coco", "voc2007-detection": "voc2007"}
_GET = {"coco": coco.GET, "voc2007-detection": voc.GET}
_CHECK = {"coco": coco.CHECK, "voc2007-detection": voc.CHECK}
EXPECTED = {"coco": coco.EXPECTED, "voc2007-detection": voc.EXPECTED}


class DetectionSpec(PlacedSpec):
    """A detection data set, one of NAMES, and where it lies."""

    @property
    def is_official(self) -> bool:
        """Whether it is the published set, rather than own data in its format."""
        return self.name != "coco" or self.path is None

    def locate(self) -> Path:
        """The folder of the data set.

        Raises:
            DataError: It is not there.
        """
        return self.find(_FOLDERS[self.name], _GET[self.name])


def is_detection_spec(text: str) -> bool:
    """Whether a data spec names detection data."""
    return text.partition(":")[0].partition("@")[0] in NAMES


def parse_detection_spec(text: str) -> DetectionSpec:
    """Read a spec.

    Raises:
        UsageError: It names no detection data, or has an empty path.
    """
    given, reading = split_reading(text)
    name, colon, place = given.partition(":")
    if name not in NAMES:
        raise UsageError(f"{text!r} is no detection data", hint=f"write {' or '.join(f'{n}[:PATH]' for n in NAMES)}")
    if colon and not place:
        raise UsageError(f"the data spec {text!r} has no path after the colon", hint=f"write {name} or {name}:PATH")
    return DetectionSpec(name, Path(place).expanduser() if colon else None, reading)


def open_detection(spec: str | DetectionSpec, split: str) -> BoxSource:
    """Open ``"train"`` or ``"val"`` of what a spec names.

    Raises:
        DataError: It is missing (with how to get it), or broken (the first broken entry, and how many there are).
    """
    parsed = parse_detection_spec(spec) if isinstance(spec, str) else spec
    problems: list[str] = []
    source = read_detection(parsed, split, problems.append)
    if problems:
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more, hint=_CHECK[parsed.name])
    return source


def read_detection(spec: DetectionSpec, split: str, problem: Callable[[str], None]) -> BoxSource:
    """As `open_detection`; entries that are broken are left out and told to ``problem``, a line each."""
    read = coco.read_coco if spec.name == "coco" else voc.read_voc_detection
    return replace(read(spec.locate(), split, spec.name, problem), reading=spec.reading)
