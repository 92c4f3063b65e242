"""`imagenet-real`: ImageNet's validation images with the ReaL labels ("Are we done with ImageNet?", L. Beyer et al.,
arXiv 2006.07159): any of several answers may be right, and images without one are left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..base.errors import DataError
from .imagenet import NUM_CLASSES, wordnet_ids
from .listing import list_images
from .several_labels import SeveralLabelsSource
from .splits import find_split

NAME = "imagenet-real"
LABELS_FILE = "real.json"
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})(?!\d)")


def open_imagenet_real(path: Path, split: str) -> SeveralLabelsSource:
    """The validation images of an ImageNet folder, in class folders or flat: the labels go by the files' numbers.

    The labels are those of ``real.json`` in the folder (or in its val/) where there is one, otherwise timm's copy.

    Raises:
        DataError: Another split than ``"val"``, no images, a file whose name is not ILSVRC's, the same number twice,
            or a damaged ``real.json``.
    """
    if split != "val":
        raise DataError(f"{NAME} is for evaluation alone", hint="train on imagenet")
    root = find_split(path, "val") or path
    listing = list_images(root)
    if not listing.paths:
        raise DataError(f"no images under {root}", hint="expected ILSVRC 2012's val/ILSVRC2012_val_00000001.JPEG, …")
    labels = _labels(path, root)
    accepted, seen = [], set()
    for name in listing.paths:
        match = _NUMBER.search(name.rpartition("/")[2])
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(labels):
            raise DataError(
                f"{root / name} is not named as ILSVRC's validation images are",
                hint="the ReaL labels go by the files' numbers: ILSVRC2012_val_00000001.JPEG to "
                f"ILSVRC2012_val_{len(labels):08d}.JPEG",
            )
        if number in seen:
            raise DataError(f"number {number} is there twice: {root / name}", hint="keep one of the two files")
        seen.add(number)
        accepted.append(labels[number - 1])
    if not any(accepted):
        raise DataError(f"no image under {root} has a ReaL label", hint="the whole validation set has 46,837 with one")
    return SeveralLabelsSource(NAME, split, wordnet_ids(), accepted, root, listing.paths, left_out=listing.left_out)


def _labels(path: Path, root: Path) -> list[list[int]]:
    beside = next((folder / LABELS_FILE for folder in (path, root) if (folder / LABELS_FILE).is_file()), None)
    if beside is None:
        from importlib.resources import files

        place = files("timm.data") / "_info" / "imagenet_real_labels.json"
        if not place.is_file():
            raise DataError(
                f"this timm has no ReaL labels, and there is no {path / LABELS_FILE}",
                hint="get real.json from github.com/google-research/reassessed-imagenet",
            )
        text, source = place.read_text(encoding="utf-8"), str(place)
    else:
        source = str(beside)
        try:
            text = beside.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {beside}: {error}", hint="get real.json again") from None
    try:
        labels = json.loads(text)
    except (ValueError, RecursionError):
        labels = None
    good = isinstance(labels, list) and all(
        isinstance(answers, list) and all(type(one) is int and 0 <= one < NUM_CLASSES for one in answers)
        for answers in labels
    )
    if not good or not labels:
        raise DataError(f"{source} is no list of ReaL labels", hint="get real.json again")
    return [sorted(set(answers)) for answers in labels]
