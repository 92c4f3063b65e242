"""Specs of detection data: ``coco[:PATH]`` or ``voc2007-detection[:PATH]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...base.errors import DataError
from ..places import PlacedSpec
from . import coco, voc
from .source import BoxSource

NAMES = ("coco", "voc2007-detection")
_FOLDERS = {"coco": "coco", "voc2007-detection": "voc2007"}
_GET = {"coco": coco.GET, "voc2007-detection": voc.GET}
_CHECK = {"coco": coco.CHECK, "voc2007-detection": voc.CHECK}
EXPECTED = {"coco": coco.EXPECTED, "voc2007-detection": voc.EXPECTED}


class DetectionSpec(PlacedSpec):
    """A detection data set, and where it lies."""

    KIND, NAMES = "detection", NAMES

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


is_detection_spec, parse_detection_spec = DetectionSpec.is_named, DetectionSpec.parse


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
