"""Specs of segmentation data: ``cityscapes[:PATH]``, ``voc2012[:PATH]``, ``ade20k[:PATH]`` or ``masks:PATH``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..places import PlacedSpec
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
    """A segmentation data set, and where it lies."""

    KIND, NAMES, NEED_PATH = "segmentation", NAMES, ("masks",)

    def locate(self) -> Path:
        """The folder of the data set.

        Raises:
            DataError: It is not there.
        """
        return self.find(self.name, _GET[self.name])


is_segmentation_spec, parse_segmentation_spec = SegmentationSpec.is_named, SegmentationSpec.parse


def open_segmentation(spec: str | SegmentationSpec, split: str) -> MaskSource:
    """Open ``"train"`` or ``"val"`` of what a spec names.

    Raises:
        DataError: It is missing (with how to get it), or incomplete.
    """
    parsed = parse_segmentation_spec(spec) if isinstance(spec, str) else spec
    return replace(_OPEN[parsed.name](parsed.locate(), split), reading=parsed.reading)
