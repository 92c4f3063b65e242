"""ADE20K, the scene parsing challenge of 2016: 150 classes; 0 in a mask is everything else and is ignored.

B. Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017; class order of its objectInfo150.txt.
"""

from __future__ import annotations

from pathlib import Path

from ...base.errors import DataError
from .source import MaskSource, colour_map, label_table, pair_up

EXPECTED = {"train": (20_210, 150), "val": (2000, 150)}
"""Images and classes."""

GET = "get ADEChallengeData2016.zip from data.csail.mit.edu/places/ADEchallenge and unpack it there"

_FOLDERS = {"train": "training", "val": "validation"}

CLASSES = tuple(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines())


def open_ade20k(root: Path, split: str) -> MaskSource:
    """``images/training/*.jpg`` with ``annotations/training/*.png`` and ``validation``, in ``ADEChallengeData2016``.

    Raises:
        DataError: A folder is missing, there is no image, or one has no mask.
    """
    inner = root / "ADEChallengeData2016"
    place = inner if inner.is_dir() else root
    found = []
    for kind, ending in (("images", ".jpg"), ("annotations", ".png")):
        folder = place / kind / _FOLDERS[split]
        if not folder.is_dir():
            raise DataError(f"ade20k: there is no {folder}/", hint=GET)
        found.append({file.stem: str(file.relative_to(place)) for file in sorted(folder.glob(f"*{ending}"))})
    images, masks, notes = pair_up(place, found[0], found[1], split)
    return MaskSource(
        name="ade20k",
        split=split,
        class_names=CLASSES,
        folder=place,
        images=images,
        masks=masks,
        table=label_table({label + 1: label for label in range(len(CLASSES))}, [0]),
        colours=colour_map(len(CLASSES) + 1)[1:],
        notes=notes,
    )
