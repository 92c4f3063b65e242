"""PASCAL VOC 2012 segmentation: 20 classes and the background, in palette PNGs.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010; VOC2012 development kit.
"""

from __future__ import annotations

from pathlib import Path

from ...base.errors import DataError
from ..voc import CLASSES as OBJECTS
from .source import MaskSource, colour_map, label_table, pair_up

EXPECTED = {"train": (1464, 21), "val": (1449, 21)}
"""Images and classes, the background one of them."""

GET = "get VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012 and unpack it there"

CLASSES = ("background", *OBJECTS)


def open_voc(root: Path, split: str) -> MaskSource:
    """``ImageSets/Segmentation/SPLIT.txt``, ``JPEGImages`` and ``SegmentationClass``, in ``VOCdevkit/VOC2012``.

    Raises:
        DataError: The list or a listed file is missing.
    """
    place = next((root / inner for inner in ("VOCdevkit/VOC2012", "VOC2012", ".") if _is_voc(root / inner)), None)
    if place is None:
        raise DataError(
            f"voc2012: there is no list {root}/VOCdevkit/VOC2012/ImageSets/Segmentation/{split}.txt", hint=GET
        )
    listed = place / "ImageSets" / "Segmentation" / f"{split}.txt"
    try:
        names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise DataError(f"voc2012: the list {listed} cannot be read", hint=GET) from None
    images = {name: f"JPEGImages/{name}.jpg" for name in names}
    lost = [path for path in images.values() if not (place / path).is_file()]
    if lost:
        more = f" (and {len(lost) - 1:,} others)" if len(lost) > 1 else ""
        raise DataError(f"voc2012: {place / lost[0]}{more} is listed in {listed.name} and is not there", hint=GET)
    masks = {name: f"SegmentationClass/{name}.png" for name in names}
    there = {name: path for name, path in masks.items() if (place / path).is_file()}
    paired, their_masks, notes = pair_up(place, images, there, split)
    return MaskSource(
        name="voc2012",
        split=split,
        class_names=CLASSES,
        folder=place,
        images=paired,
        masks=their_masks,
        table=label_table({index: index for index in range(len(CLASSES))}, [255]),
        colours=colour_map(len(CLASSES)),
        notes=notes,
    )


def _is_voc(place: Path) -> bool:
    return (place / "ImageSets" / "Segmentation").is_dir()
