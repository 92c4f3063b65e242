"""Cityscapes, fine annotations: the labelIds pictures as published, mapped to the 19 classes that are evaluated.

M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016; the table is the one of
cityscapesScripts, helpers/labels.py.
"""

from __future__ import annotations

from pathlib import Path

from ...base.errors import DataError
from .source import MaskSource, label_table, pair_up

EXPECTED = {"train": (2975, 19), "val": (500, 19)}
"""Images and classes."""

GET = (
    "get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from cityscapes-dataset.com (with a login) and "
    "unpack both there, as leftImg8bit/ beside gtFine/"
)

CLASSES: tuple[tuple[int, str, tuple[int, int, int]], ...] = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""labelId, name and colour of each trainId, in trainId order."""

NUM_LABEL_IDS = 34
"""labelIds are 0 to 33, and -1 (stored as 255) for a licence plate."""

_IMAGE, _MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


def open_cityscapes(root: Path, split: str) -> MaskSource:
    """``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`` with ``gtFine/SPLIT/CITY/*_gtFine_labelIds.png``.

    Raises:
        DataError: A folder is missing, there is no image, or one has no mask.
    """
    places = [root / "leftImg8bit" / split, root / "gtFine" / split]
    for place in places:
        if not place.is_dir():
            raise DataError(f"cityscapes: there is no {place}/", hint=GET)
    found = []
    for place, ending in zip(places, (_IMAGE, _MASK), strict=True):
        files = sorted(place.glob(f"*/*{ending}"))
        found.append({str(file.relative_to(place))[: -len(ending)]: str(file.relative_to(root)) for file in files})
    images, masks, notes = pair_up(root, found[0], found[1], split)
    label_of = {stored: label for label, (stored, _, _) in enumerate(CLASSES)}
    ignored = [stored for stored in range(NUM_LABEL_IDS) if stored not in label_of]
    return MaskSource(
        name="cityscapes",
        split=split,
        class_names=tuple(name for _, name, _ in CLASSES),
        folder=root,
        images=images,
        masks=masks,
        table=label_table(label_of, [*ignored, 255]),
        colours=tuple(colour for _, _, colour in CLASSES),
        notes=notes,
    )
