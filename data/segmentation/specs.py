"""Specs of segmentation data: ``cityscapes[:PATH]``, ``voc2012[:PATH]``, ``ade20k[:PATH]`` or ``masks:PATH``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...base.errors import UsageError
from ..places import PlacedSpec
from ..reading import split_reading
from . import ade20k, cityscapes, pairs, voc
from .source import MaskSource

NAMES = ("cityscapes", "voc2012", "ade20k", "masks")
EXPECTED = {"cityscapes": cityscapes.EXPECTED, "voc2012": voc.EXPECTED, "ade20k": ade20k.EXPECTED}
CLASSES = {
    "cityscapes": tuple(name for _, name, _ in cityscapes.CLASSES),
    "voc2012": voc.CLASSES,
    "ade20k": ade20k.CLASSES,
}
_GET = {"cityscapes": cityscapes.GET, "voc2012": voc.GET, "ade20k": ade20k.GET, "masks": pairs.GET}
_OPEN = {
    "cityscapes": cityscapes.open_cityscapes,
    "voc2012": voc.open_voc,
    "ade20k": ade20k.open_ade20k,
    "masks": pairs.open_pairs,
}


class SegmentationSpec(PlacedSpec):
    """A segmentation data set, one of NAMES, and where it lies."""

    def locate(self) -> Path:
        """The folder of the data set.

        Raises:
            DataError: It is not there.
        """
        return self.find(self.name, _GET[self.name])


def is_segmentation_spec(text: str) -> bool:
    """Whether a data spec names segmentation data."""
    return text.partition(":")[0].partition("@")[0] in NAMES


def parse_segmentation_spec(text: str) -> SegmentationSpec:
    """Read a spec.

    Raises:
        UsageError: It names no segmentation data, or has no path where it needs one.
    """
    given, reading = split_reading(text)
    name, colon, place = given.partition(":")
    if name not in NAMES:
        forms = ", ".join(f"{n}[:PATH]" for n in NAMES[:-1])
        raise UsageError(f"{text!r} is no segmentation data", hint=f"write {forms} or masks:PATH")
    if (colon and not place) or (name == "masks" and not place):
        raise UsageError(f"the data spec {text!r} has no path", hint=f"write {name}:PATH")
    return SegmentationSpec(name, Path(place).expanduser() if colon else None, reading)


def open_segmentation(spec: str | SegmentationSpec, split: str) -> MaskSource:
    """Open ``"train"`` or ``"val"`` of what a spec names.

    Raises:
        DataError: It is missing (with how to get it), or incomplete.
    """
    parsed = parse_segmentation_spec(spec) if isinstance(spec, str) else spec
    return replace(_OPEN[parsed.name](parsed.locate(), split), reading=parsed.reading)
