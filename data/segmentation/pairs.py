"""Own data: ``images/{train,val}`` beside ``masks/{train,val}`` of the same file names, and ``classes.txt``."""

from __future__ import annotations

import os
from pathlib import Path

from ...base.errors import DataError
from ..listing import list_images
from .source import IGNORED, MAX_CLASSES, MaskSource, colour_map, label_table, pair_up, read_indices

GET = "make images/train, images/val, masks/train and masks/val there; a mask is a PNG of class ids, 255 ignored"


def open_pairs(root: Path, split: str) -> MaskSource:
    """A split of own data.

    ``classes.txt`` has a class name a line, the first for id 0. Without it all training masks are read for their ids.

    Raises:
        DataError: A folder is missing, there is no image, one has no mask, or the classes cannot be told.
    """
    images, masks, notes = _paired(root, split)
    names, note = _classes(root)
    return MaskSource(
        name="masks",
        split=split,
        class_names=names,
        folder=root,
        images=images,
        masks=masks,
        table=label_table({index: index for index in range(len(names))}, [IGNORED]),
        colours=colour_map(len(names)),
        notes=(*notes, *note),
    )


def _paired(root: Path, split: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    found: list[dict[str, str]] = []
    for kind in ("images", "masks"):
        folder = root / kind / split
        if not folder.is_dir():
            raise DataError(f"masks: there is no {folder}/", hint=GET)
        files: dict[str, str] = {}
        for name in list_images(folder).paths:
            key, extension = os.path.splitext(name)
            if kind == "masks" and extension.lower() != ".png":
                continue
            if key in files:
                raise DataError(
                    f"{root / files[key]} and {folder / name} share one name",
                    hint="a mask is found by its image's name",
                )
            files[key] = f"{kind}/{split}/{name}"
        found.append(files)
    return pair_up(root, found[0], found[1], split)


def _classes(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    listed = root / "classes.txt"
    if listed.is_file():
        try:
            names = tuple(line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError):
            raise DataError(f"{listed} cannot be read", hint="write a class name a line, the first for id 0") from None
        if len(names) < 2 or len(names) > MAX_CLASSES or len(set(names)) < len(names):
            raise DataError(
                f"{listed} has {len(names)} names, {len(set(names))} of them different",
                hint=f"name 2 to {MAX_CLASSES} classes, each once, the first for id 0",
            )
        return names, ()
    images, masks, _ = _paired(root, "train")
    largest = 0
    for image, mask in zip(images, masks, strict=True):
        ids = read_indices(root / mask, image)
        largest = max(largest, int(ids[ids != IGNORED].max(initial=0)))
    if largest == 0 or largest >= MAX_CLASSES:
        raise DataError(
            f"the training masks of {root} have ids up to {largest}: no classes can be told",
            hint="write classes.txt, a class name a line, the first for id 0",
        )
    names = tuple(f"class{index}" for index in range(largest + 1))
    return names, (f"no classes.txt: the training masks have ids 0 to {largest}",)
