"""The .mat files of MPIIGaze's normalised eye images: read without trust, one file a day of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .matlab import read_mat

EYES = ("left", "right")
HEIGHT, WIDTH = 36, 60
_LARGEST_BYTES = 512 * 2**20
_HINT = "get the file again from MPIIGaze's archive (Data/Normalized)"


@dataclass(frozen=True)
class EyeTable:
    """One eye's images of one day.

    Attributes:
        images: uint8, (N, 36, 60), grey.
        gazes: float64, (N, 3), the direction of gaze in the normalised camera's coordinates; of any length but 0.
        poses: float64, (N, 3), the head's rotation as a rotation vector.
    """

    images: np.ndarray
    gazes: np.ndarray
    poses: np.ndarray


def read_day(path: Path) -> tuple[list[str], dict[str, EyeTable]]:
    """The file names of a day's pictures, and the eye images cut out of each.

    Raises:
        DataError: The file cannot be read, is no MATLAB 5 file, or lacks a field, or a field has another shape or
            impossible numbers.
    """
    document = read_mat(path, ("data", "filenames"), largest=_LARGEST_BYTES, hint=_HINT)
    names = [_text(cell, path) for cell in np.asarray(document["filenames"], dtype=object).ravel()]
    return names, {eye: _eye(document["data"], eye, len(names), path) for eye in EYES}


def _text(cell: Any, path: Path) -> str:
    """A cell's text; MATLAB keeps it as an array."""
    values = np.asarray(cell).ravel()
    if len(values) == 1 and isinstance(values[0], str):
        return str(values[0])
    raise DataError(f"{path} has a file name that is no text", hint=_HINT)


def _field(struct: Any, name: str, path: Path, where: str) -> Any:
    """A field of a 1×1 struct."""
    array = np.asarray(struct)
    if array.size != 1 or array.dtype.names is None or name not in array.dtype.names:
        raise DataError(f"{path} has no field {where}.{name}", hint=_HINT)
    return array.ravel()[0][name]


def _eye(data: Any, eye: str, count: int, path: Path) -> EyeTable:
    struct = _field(data, eye, path, "data")
    where = f"data.{eye}"
    images = _numbers(struct, "image", (count, HEIGHT, WIDTH), path, where)
    if images.size and (images.min() < 0 or images.max() > 255):
        raise DataError(f"{path}: {where}.image has values beyond 0 to 255", hint=_HINT)
    gazes = _numbers(struct, "gaze", (count, 3), path, where)
    if not np.all(np.linalg.norm(gazes, axis=1) > 0):
        raise DataError(f"{path}: {where}.gaze has a direction of no length", hint=_HINT)
    return EyeTable(images.astype(np.uint8), gazes, _numbers(struct, "pose", (count, 3), path, where))


def _numbers(struct: Any, name: str, shape: tuple[int, ...], path: Path, where: str) -> np.ndarray:
    values = np.asarray(_field(struct, name, path, where))
    if values.dtype.kind not in "fiu" or values.shape != shape:
        found = "×".join(map(str, values.shape)) or "no array"
        raise DataError(f"{path}: {where}.{name} is {found}, expected {'×'.join(map(str, shape))} numbers", hint=_HINT)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{path}: {where}.{name} has numbers that are not finite", hint=_HINT)
    return values if name == "image" else values.astype(np.float64)
