"""How the files of a data set are read, where the files alone do not say: parts of a data spec.

``photos@exif=apply`` turns images upright as their EXIF orientation says; ``scans@white=4095`` says which value is
white in images of more than eight bits a channel. Both belong to the data, so that training, evaluation and checks
read alike.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import UsageError

_PART = re.compile(r"@(exif|white)=([^@:/]*)")
_HOW = "write SPEC@exif=apply, or SPEC@white=4095 with the value that is white"


@dataclass(frozen=True)
class Reading:
    """How files become RGB images.

    Attributes:
        upright: Whether images are turned as their EXIF orientation says. By default not: ImageNet's published models
            were trained and measured without it.
        white: The value that becomes 255, of images with more than eight bits a channel; None where only images that
            define it, or use the whole range of 16 bits, are read.
    """

    upright: bool = False
    white: float | None = None

    def __str__(self) -> str:
        white = "" if self.white is None else f"@white={self.white:g}"
        return f"{'@exif=apply' if self.upright else ''}{white}"


AS_STORED = Reading()


def split_reading(text: str) -> tuple[str, Reading]:
    """A data spec without its parts about reading, and what they say. An existing path is never taken apart.

    Raises:
        UsageError: A part has no such value, or is there twice.
    """
    parts = _PART.findall(text)
    if not parts or os.path.lexists(Path(text).expanduser()):
        return text, AS_STORED
    values = dict(parts)
    if len(values) < len(parts):
        raise UsageError(f"the data spec {text!r} says one thing twice", hint=_HOW)
    exif = values.get("exif", "ignore")
    if exif not in ("apply", "ignore"):
        raise UsageError(f"the data spec {text!r} has exif={exif}", hint="exif=apply, or exif=ignore (the default)")
    return _PART.sub("", text), Reading(exif == "apply", _white(text, values.get("white")))


def _white(text: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        white = float(value)
    except ValueError:
        white = math.nan
    if not (math.isfinite(white) and 0 < white < 2**32):
        raise UsageError(
            f"the data spec {text!r} has white={value}",
            hint="white is a number above 0: 1 or 255 for floating-point images, 4095 for 12 bits, 65535 for 16",
        )
    return white
