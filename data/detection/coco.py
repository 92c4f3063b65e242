"""COCO-format annotations: one JSON file a split, read with every entry checked.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the format is the one of cocodataset.org
("Object Detection"): ``images``, ``categories`` and ``annotations`` with ``bbox`` as left, top, width, height.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from ...base.errors import DataError
from .build import MAX_SIDE, AnnotatedImages, BoxRow, build_source
from .source import BoxSource

EXPECTED = {"train": (118_287, 80), "val": (5_000, 80)}
"""Images and classes of COCO 2017."""

GET = (
    "get train2017.zip, val2017.zip and annotations_trainval2017.zip from cocodataset.org and unpack them there, as "
    "annotations/instances_train2017.json beside train2017/"
)
_WORDS = {"train": ("train2017", "train2014", "train"), "val": ("val2017", "val2014", "val", "valid", "test")}
_BESIDE = "_annotations.coco.json"
CHECK = "'kdzoo data check' lists every such entry; repair the file, or take them out"


def find_coco(root: Path, split: str) -> tuple[Path, Path]:
    """The annotation file and the image folder of a split.

    Raises:
        DataError: There is no such file, or no folder of images for it; says where it was looked for.
    """
    for word in _WORDS[split]:
        for file in (
            root / "annotations" / f"instances_{word}.json",
            root / "annotations" / f"{word}.json",
            root / f"{word}.json",
        ):
            if file.is_file():
                return file, _images(root, file, word)
        if (root / word / _BESIDE).is_file():
            return root / word / _BESIDE, root / word
    if not root.is_dir():
        raise DataError(f"coco not found: looked for {root}/", hint=GET)
    raise DataError(
        f"there is no annotation file for {split} in {root} (looked for annotations/instances_{_WORDS[split][0]}.json)",
        hint=f"name it annotations/instances_{_WORDS[split][-1]}.json, with the images in {_WORDS[split][-1]}/",
    )


def _images(root: Path, file: Path, word: str) -> Path:
    places = (root / word, root / "images" / word, root / "images")
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"{file} is there, and its images are not (looked for {', '.join(f'{place}/' for place in places)})",
        hint=f"unpack {word}.zip in {root}" if "20" in word else f"put the images in {places[0]}/",
    )


def read_coco(root: Path, split: str, name: str, problem: Callable[[str], None]) -> BoxSource:
    """A split of COCO-format data; entries that are broken are left out and told to ``problem``, a line each.

    Raises:
        DataError: A file is missing, or no such file.
    """
    file, folder = find_coco(root, split)
    document = _read(file)
    reader = _Reader(file.name, problem)
    label_of, names = reader.categories(document)
    place_of, files, sizes = reader.images(document)
    rows = reader.annotations(document, label_of, place_of)
    ids = sorted(label_of)
    notes = []
    if ids and ids != list(range(ids[0], ids[0] + len(ids))):
        gaps = ids[-1] - ids[0] + 1 - len(ids)
        notes.append(
            f"category ids run from {ids[0]} to {ids[-1]} with {gaps} gaps: numbered 0 to {len(ids) - 1} in their order"
        )
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        notes.append(f"several categories are called {', '.join(map(repr, twice[:5]))}: each is a class of its own")
    images = AnnotatedImages(folder=folder, files=files, ids=list(place_of), sizes=sizes, rows=rows)
    return build_source(name, split, images, class_names=names, category_ids=ids, notes=notes)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(
            f"cannot read {file}: {(error.strerror or str(error)).lower()}", hint="check the file"
        ) from None
    except (ValueError, RecursionError) as error:
        line = " ".join(str(error).split()) or "nested too deeply"
        raise DataError(f"{file} is no JSON ({line})", hint="it may be cut short: get or write it again") from None
    if not isinstance(document, dict):
        raise DataError(f"{file} is no COCO file: it holds no JSON object", hint=_FORM)
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise DataError(f"{file} has no list of {key}", hint=_FORM)
    return document


_FORM = 'a COCO file has "images", "annotations" and "categories", as instances_val2017.json has'


class _Reader:
    """Reads the three lists, and tells of each entry that makes no sense."""

    def __init__(self, file: str, problem: Callable[[str], None]) -> None:
        self.file = file
        self.problem = problem

    def categories(self, document: dict[str, Any]) -> tuple[dict[int, int], list[str]]:
        """The label of each category id, and the names in label order."""
        names: dict[int, str] = {}
        for index, entry in enumerate(document["categories"]):
            where = f"{self.file}: categories[{index}]"
            if not isinstance(entry, dict) or not _is_int(entry.get("id")) or not isinstance(entry.get("name"), str):
                self.problem(f"{where} has no id (a whole number) or no name")
            elif entry["id"] in names:
                self.problem(f"{where} has the id {entry['id']} of {names[entry['id']]!r} once more")
            else:
                names[entry["id"]] = entry["name"]
        if not names:
            raise DataError(f"{self.file} has no categories", hint=_FORM)
        ids = sorted(names)
        return {identity: label for label, identity in enumerate(ids)}, [names[identity] for identity in ids]

    def images(self, document: dict[str, Any]) -> tuple[dict[int | str, int], list[str], list[tuple[int, int]]]:
        """The place of each image id, the files and the sizes."""
        place_of: dict[int | str, int] = {}
        files: list[str] = []
        sizes: list[tuple[int, int]] = []
        for index, entry in enumerate(document["images"]):
            where = f"{self.file}: images[{index}]"
            if not isinstance(entry, dict) or not (_is_int(entry.get("id")) or isinstance(entry.get("id"), str)):
                self.problem(f"{where} has no id")
                continue
            width, height, path = entry.get("width"), entry.get("height"), entry.get("file_name")
            if not _is_int(width) or not _is_int(height) or min(width, height) < 1 or max(width, height) > MAX_SIDE:
                self.problem(f"{where} (id {entry['id']}) has no width and height from 1 to {MAX_SIDE:,} pixels")
            elif not isinstance(path, str) or not path:
                self.problem(f"{where} (id {entry['id']}) has no file_name")
            elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
                self.problem(f"{where} names a file outside its folder: {path!r}")
            elif entry["id"] in place_of:
                self.problem(f"{where} has the id {entry['id']} of another image")
            else:
                place_of[entry["id"]] = len(files)
                files.append(path)
                sizes.append((width, height))
        if not files:
            raise DataError(f"{self.file} has no image", hint=_FORM)
        return place_of, files, sizes

    def annotations(
        self, document: dict[str, Any], label_of: dict[int, int], place_of: dict[int | str, int]
    ) -> list[BoxRow]:
        """The boxes."""
        rows: list[BoxRow] = []
        for index, entry in enumerate(document["annotations"]):
            row = self._annotation(index, entry, label_of, place_of)
            if row is not None:
                rows.append(row)
        return rows

    def _annotation(
        self, index: int, entry: Any, label_of: dict[int, int], place_of: dict[int | str, int]
    ) -> BoxRow | None:
        where = f"{self.file}: annotations[{index}]"
        if not isinstance(entry, dict):
            self.problem(f"{where} is no object")
            return None
        if "id" in entry:
            where += f" (id {entry['id']})"
        box, category, image = entry.get("bbox"), entry.get("category_id"), entry.get("image_id")
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
            self.problem(f"{where} has no bbox of four numbers: {str(box)[:60]}")
        elif box[2] < 0 or box[3] < 0:
            self.problem(f"{where} has a bbox of negative width or height: {box}")
        elif not _is_int(category) or category not in label_of:
            self.problem(f"{where} has the unknown category_id {str(category)[:40]}")
        elif not (_is_int(image) or isinstance(image, str)) or image not in place_of:
            self.problem(f"{where} belongs to the unknown image_id {str(image)[:40]}")
        elif entry.get("iscrowd", 0) not in (0, 1):
            self.problem(f"{where} has the iscrowd {str(entry['iscrowd'])[:40]!r}, which is neither 0 nor 1")
        elif _is_number(entry.get("area")) and entry["area"] < 0:
            self.problem(f"{where} has a negative area: {entry['area']:g}")
        else:
            left, top, width, height = (float(value) for value in box)
            area = entry.get("area")
            corners = (left, top, left + width, top + height)
            if not all(map(math.isfinite, (*corners, width * height))):
                self.problem(f"{where} has a bbox of too large numbers: {str(box)[:60]}")
                return None
            size = float(area) if _is_number(area) else width * height
            return place_of[image], corners, label_of[category], bool(entry.get("iscrowd", 0)), size
        return None


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False
