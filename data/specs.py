"""Data specs: ``NAME[:PATH]``, or the path of a folder or, for unlabeled images, of a manifest."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UsageError
from .sources import ImageSource

NAMES = ("digits", "cifar10", "cifar100", "imagenet")
SPLITS = ("train", "val", "unlabeled")

_IMAGENET_HINT = (
    "get ILSVRC 2012 from image-net.org and unpack it as {path}/train/<wnid>/*.JPEG and {path}/val/<wnid>/*.JPEG; "
    "another place: imagenet:PATH; `digits` is embedded and runs now"
)


@dataclass(frozen=True)
class DataSpec:
    """A data set by name, and where it lies.

    Attributes:
        name: One of NAMES, or ``"folder"``.
        path: The folder (or manifest), or None for the name's default place.
    """

    name: str
    path: Path | None

    def __str__(self) -> str:
        if self.name == "folder":
            return str(self.path)
        return self.name if self.path is None else f"{self.name}:{self.path}"

    def resolved_path(self) -> Path | None:
        """The folder to read: the given one, or ``$KDZOO_DATA/NAME``; None for embedded data or if neither is set."""
        if self.path is not None or self.name == "digits":
            return self.path
        root = os.environ.get("KDZOO_DATA")
        return Path(root).expanduser() / self.name if root else None


def parse_data_spec(text: str) -> DataSpec:
    """Read a spec. A known name is never a folder: ``./digits`` is one, ``digits`` is the data set.

    Raises:
        UsageError: An empty text, or a path given to embedded data.
        DataError: Neither a known name nor an existing folder; the nearest name is given.
    """
    if not text.strip():
        raise UsageError("an empty data spec", hint=f"give one of {', '.join(NAMES)}, or a folder")
    name, colon, place = text.partition(":")
    if name in NAMES:
        if colon and not place:
            raise UsageError(f"the data spec {text!r} has no path after the colon", hint=f"write {name} or {name}:PATH")
        if name == "digits" and colon:
            raise UsageError("digits is embedded and takes no path", hint="write digits")
        return DataSpec(name, Path(place).expanduser() if colon else None)
    path = Path(text).expanduser()
    if path.exists():
        return DataSpec("folder", path)
    nearest = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    meant = f"did you mean {nearest[0]}{colon}{place}? " if nearest else ""
    raise DataError(
        f"{text!r} is neither a known data set nor an existing folder",
        hint=f"{meant}known: {', '.join(NAMES)}; or the path of a folder of class folders",
    )


def open_source(spec: str | DataSpec, split: str) -> ImageSource:
    """Open one split of what a spec names.

    Args:
        spec: A data spec; see `parse_data_spec`.
        split: ``"train"``, ``"val"`` or ``"unlabeled"`` (images only; no label is read).

    Raises:
        DataError: The data is missing (with how to get it), or not laid out as it must be.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", hint=f"one of {', '.join(SPLITS)}")
    parsed = parse_data_spec(spec) if isinstance(spec, str) else spec
    path = parsed.resolved_path()
    if parsed.name == "digits":
        from .digits import open_digits

        return open_digits(split)
    if path is None:
        raise DataError(
            f"{parsed.name} not found: no path was given and KDZOO_DATA is not set",
            hint=f"set KDZOO_DATA to the folder that holds {parsed.name}/, or write {parsed.name}:PATH; "
            "`digits` is embedded and runs now",
        )
    if parsed.name == "folder":
        if split == "unlabeled" and path.is_file():
            from .manifest import open_manifest

            return open_manifest(path)
        from .folders import open_folder

        return open_folder(path, split)
    if parsed.name == "imagenet":
        from .imagenet import open_imagenet

        if not path.is_dir():
            raise DataError(f"imagenet not found: looked for {path}/", hint=_IMAGENET_HINT.format(path=path))
        return open_imagenet(path, split)
    from .cifar import open_cifar

    return open_cifar(parsed.name, path, split)
