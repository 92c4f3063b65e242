"""Specs of segmentation data: ``cityscapes[:PATH]``, ``voc2012[:PATH]``, ``ade20k[:PATH]`` or ``masks:PATH``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, UsageError
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


@dataclass(frozen=True)
class SegmentationSpec:
    """A segmentation data set by name, and where it lies.

    Attributes:
        name: One of NAMES.
        path: The folder, or None for ``$KDZOO_DATA/NAME``.
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
        return Path(root).expanduser() / self.name if root else None


def is_segmentation_spec(text: str) -> bool:
    """Whether a data spec names segmentation data."""
    return text.partition(":")[0] in NAMES


def parse_segmentation_spec(text: str) -> SegmentationSpec:
    """Read a spec.

    Raises:
        UsageError: It names no segmentation data, or has no path where it needs one.
    """
    name, colon, place = text.partition(":")
    if name not in NAMES:
        forms = ", ".join(f"{n}[:PATH]" for n in NAMES[:-1])
        raise UsageError(f"{text!r} is no segmentation data", hint=f"write {forms} or masks:PATH")
    if (colon and not place) or (name == "masks" and not place):
        raise UsageError(f"the data spec {text!r} has no path", hint=f"write {name}:PATH")
    return SegmentationSpec(name, Path(place).expanduser() if colon else None)


def open_segmentation(spec: str | SegmentationSpec, split: str) -> MaskSource:
    """Open ``"train"`` or ``"val"`` of what a spec names.

    Raises:
        DataError: It is missing (with how to get it), or incomplete.
    """
    parsed = parse_segmentation_spec(spec) if isinstance(spec, str) else spec
    return _OPEN[parsed.name](place_of(parsed), split)


def place_of(spec: SegmentationSpec) -> Path:
    """The folder of a spec.

    Raises:
        DataError: It is not there.
    """
    path = spec.resolved_path()
    if path is None:
        raise DataError(
            f"{spec.name} not found: no path was given and KDZOO_DATA is not set",
            hint=f"set KDZOO_DATA to the folder that holds {spec.name}/, or write {spec.name}:PATH; {_GET[spec.name]}",
        )
    if not path.is_dir():
        raise DataError(f"{spec.name} not found: looked for {path}/", hint=_GET[spec.name])
    return path
