"""A manifest: chosen images of a folder, one JSON object a line, with the class and score that a teacher gave them.

The first line is about all: ``{"kdzoo_manifest": 1, "root": "/photos", "num_images": 2, "class_names": […]}``; each
other line is an image: ``{"id": "a/b.jpg", "class": 3, "score": 0.98}``. Ids are paths below the root. A ``reading``
beside the root, such as ``@exif=apply``, says how the images were read and are to be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from ..base.errors import DataError
from ..base.regular_files import refuse_special
from .reading import AS_STORED, split_reading
from .sources import FileSource

if TYPE_CHECKING:
    from .curation import ListedImages

VERSION = 1
_LOOKED_FOR = 10_000  # files whose presence is checked, evenly spread
_HINT = "give a manifest that 'kdzoo curate' wrote, or a folder of images"


def write_manifest(
    file: TextIO,
    images: ListedImages,
    num_images: int,
    class_names: Sequence[str],
    rows: Iterable[tuple[str, int, float]],
) -> None:
    """Write a manifest.

    Args:
        file: Where to.
        images: What was chosen from.
        num_images: How many rows there are.
        class_names: The teacher's classes; may be empty.
        rows: (id, class, score) of each image.
    """
    head: dict[str, Any] = {"kdzoo_manifest": VERSION, "root": str(images.root)}
    if images.reading != AS_STORED:
        head["reading"] = str(images.reading)
    head |= {"num_images": num_images, "class_names": list(class_names)}
    file.write(json.dumps(head) + "\n")
    for identity, label, score in rows:
        file.write(json.dumps({"id": identity, "class": label, "score": score}) + "\n")


def open_manifest(path: Path) -> FileSource:
    """The images of a manifest, without labels.

    Raises:
        DataError: It is no manifest, lists no image, or its files are gone.
    """
    refuse_special(path, what="the manifest")
    try:
        with open(path, encoding="utf-8") as file:
            head = _parse(file.readline(), path, 1)
            if head.get("kdzoo_manifest") != VERSION or not isinstance(head.get("root"), str):
                raise DataError(f"{path} is a file, but no manifest of version {VERSION}", hint=_HINT)
            paths = [_identity(line, path, number) for number, line in enumerate(file, start=2)]
    except UnicodeDecodeError:
        raise DataError(f"{path} is a file, but no manifest: it is no text", hint=_HINT) from None
    except OSError as error:
        raise DataError(f"cannot read the manifest {path}: {(error.strerror or str(error)).lower()}") from None
    if len(paths) != head.get("num_images"):
        raise DataError(
            f"the manifest {path} lists {len(paths):,} images and should list {head.get('num_images')}",
            hint="it was cut short: copy or curate it again",
        )
    if not paths:
        raise DataError(f"the manifest {path} lists no image", hint="curate again, with another folder")
    root = Path(head["root"])
    _require_files(path, root, paths)
    source = FileSource(path.stem, "unlabeled", (), np.full(len(paths), -1, dtype=np.int64), root, paths)
    source.read_as(split_reading(f"{root}{head.get('reading', '')}")[1])
    return source


def _parse(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        what = "no manifest" if number == 1 else f"broken in line {number}"
        raise DataError(f"{path} is a file, but {what}", hint=_HINT)
    return document


def _identity(line: str, path: Path, number: int) -> str:
    identity = _parse(line, path, number).get("id")
    if not isinstance(identity, str) or not identity or identity.startswith("/") or ".." in identity.split("/"):
        raise DataError(f"{path}, line {number}: no id of an image below the root", hint=_HINT)
    return identity


def _require_files(path: Path, root: Path, paths: Sequence[str]) -> None:
    looked_for = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _LOOKED_FOR)).astype(int)).tolist()
    gone = [paths[index] for index in looked_for if not (root / paths[index]).is_file()]
    if gone:
        raise DataError(
            f"{len(gone):,} of {len(looked_for):,} files looked for of the manifest {path} are gone, "
            f"such as {root / gone[0]}",
            hint=f'bring {root} back, write its new place as "root" in the manifest\'s first line, or curate again',
        )
