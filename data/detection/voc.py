"""VOC detection: an XML file an image in ``Annotations/``, the splits in ``ImageSets/Main``.

M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010. Coordinates there are pixels
counted from 1, both ends included; here they are edges counted from 0.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from ...base.errors import DataError
from ..official_lists import read_list
from ..voc import CLASSES, find_voc
from .build import MAX_SIDE, AnnotatedImages, BoxRow, build_source
from .source import BoxSource

EXPECTED = {"train": (5_011, 20), "val": (4_952, 20)}
"""Images and classes of VOC 2007's trainval and test."""

GET = (
    "unpack VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar (host.robots.ox.ac.uk/pascal/VOC/voc2007) there, "
    "as VOCdevkit/VOC2007/Annotations"
)
_LISTS = {"train": "trainval.txt", "val": "test.txt"}
CHECK = "'kdzoo data check' lists every such file; unpack the archive again"
_MAX_BYTES = 2**20
_Object = tuple[str, tuple[float, float, float, float], bool]


def read_voc_detection(root: Path, split: str, name: str, problem: Callable[[str], None]) -> BoxSource:
    """trainval (``"train"``) or test (``"val"``) in VOC's layout; broken files are left out and told to ``problem``.

    Raises:
        DataError: The lists or all annotations are missing.
    """
    base = find_voc(root)
    if base is None:
        raise DataError(f"{name} not found: looked for {root}/VOCdevkit/VOC2007/ImageSets/Main", hint=GET)
    if not (base / "Annotations").is_dir():
        raise DataError(f"{base}/Annotations is missing: it holds the boxes", hint=GET)
    listed = base / "ImageSets" / "Main" / _LISTS[split]
    if not listed.is_file():
        raise DataError(f"{listed} is missing: it lists the images of {split}", hint=GET)
    names = [line.split()[0] for line in read_list(listed, f"the images of {split}")]
    found: list[tuple[str, tuple[int, int], list[_Object]]] = []
    for image in names:
        try:
            found.append((image, *_read_annotation(base / "Annotations" / f"{image}.xml")))
        except DataError as error:
            problem(error.message)
    if not found:
        raise DataError(f"no annotation of {listed} can be read", hint=CHECK)
    seen = _names_of_other(base, split) | {label for _, _, objects in found for label, _, _ in objects}
    classes = CLASSES if seen <= set(CLASSES) else tuple(sorted(seen))
    rows: list[BoxRow] = [
        (place, box, classes.index(label), difficult, (box[2] - box[0]) * (box[3] - box[1]))
        for place, (_, _, objects) in enumerate(found)
        for label, box, difficult in objects
    ]
    hard = sum(row[3] for row in rows)
    notes = [f"{hard:,} objects are marked difficult: not trained on, and no mistake when found"] if hard else []
    images = AnnotatedImages(
        folder=base / "JPEGImages",
        files=[f"{image}.jpg" for image, _, _ in found],
        ids=[image for image, _, _ in found],
        sizes=[size for _, size, _ in found],
        rows=rows,
    )
    ids = range(1, len(classes) + 1)
    return build_source(name, split, images, class_names=classes, category_ids=ids, notes=notes)


def _names_of_other(base: Path, split: str) -> set[str]:
    """The classes of the other split's objects, as far as they can be read: both splits are numbered alike."""
    names: set[str] = set()
    lines: list[str] = []
    with contextlib.suppress(DataError):
        lines = read_list(base / "ImageSets" / "Main" / _LISTS["train" if split == "val" else "val"], "images")
    for line in lines:
        with contextlib.suppress(DataError):
            _, objects = _read_annotation(base / "Annotations" / f"{line.split()[0]}.xml")
            names.update(label for label, _, _ in objects)
    return names


def _read_annotation(path: Path) -> tuple[tuple[int, int], list[_Object]]:
    """Width and height, and the objects.

    Raises:
        DataError: The file is missing, no XML, or has no size or a broken object.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is too large for one image's annotation", hint=CHECK)
        tree = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}", hint=CHECK) from None
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is no XML ({error})", hint=CHECK) from None
    try:
        width, height = (int(float(tree.findtext(f"size/{key}") or "")) for key in ("width", "height"))
        if not all(1 <= side <= MAX_SIDE for side in (width, height)):
            raise ValueError
    except (ValueError, OverflowError):
        raise DataError(
            f"{path} does not say its image's width and height, from 1 to {MAX_SIDE:,} pixels", hint=CHECK
        ) from None
    objects: list[_Object] = []
    for number, entry in enumerate(tree.iter("object"), start=1):
        label = (entry.findtext("name") or "").strip()
        try:
            ends = [float(entry.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax")]
            if not label or not math.isfinite((ends[2] - ends[0]) * (ends[3] - ends[1])):
                raise ValueError
        except ValueError:
            raise DataError(f"{path}: object {number} has no name or no bndbox of four numbers", hint=CHECK) from None
        box = (ends[0] - 1, ends[1] - 1, ends[2], ends[3])
        objects.append((label, box, (entry.findtext("difficult") or "0").strip() == "1"))
    return (width, height), objects
