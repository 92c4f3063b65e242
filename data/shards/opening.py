"""From a data spec (``wds:PATH``, ``hf:NAME``) to the images of a split."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ...base.amounts import first_few
from ...base.errors import DataError, UsageError
from ...base.regular_files import is_regular, read_json
from ..held_out import SharedSource
from ..hub_copy.files import SPLIT_OF
from ..sources import ImageSource
from .extents import Extents, ExtentSource
from .index import Found, ShardIndex, cached_index, stamp
from .tar import scan_shards

if TYPE_CHECKING:
    from ..specs import DataSpec

INFO = "_info.json"
"""Beside the shards: the names of the classes, and timm's list of splits and shards."""

WHOLE = "all"
"""The one split of a set that says of none."""

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_WNID = re.compile(r"(n\d{8})_")


def open_shards(spec: DataSpec, split: str) -> ImageSource:
    """The images of a split.

    Raises:
        DataError: There are none, they cannot be read, or have no labels where these are needed.
        UsageError: A share is held out where there are validation images, or a choice has to be made.
    """
    index = _index(spec)
    train = next((name for name in ("train", WHOLE) if name in index.splits), None)
    if spec.val_share is not None:
        if train is None or "val" in index.splits:
            there = first_few(sorted(index.splits))
            raise UsageError(f"{spec} holds out a share, and has the splits {there}", hint="leave the share out")
        return SharedSource(_source(spec, index, train, "train", labelled=True), spec.val_share, split)
    if split == "unlabeled":
        taken = next((name for name in (split, train, *index.splits) if name in index.splits), None)
    elif split == "val":
        wanted = ("val", "test", WHOLE) if spec.held_out is None else (_usual(spec.held_out),)
        taken = next((name for name in wanted if name in index.splits), None)
    else:
        taken = train
    if taken is None:
        raise _no_such_split(spec, index, split)
    source = _source(spec, index, taken, split, labelled=split != "unlabeled")
    if split == "val" and taken == "test" and spec.held_out is None:
        source.notes = (f"{spec}: test is taken for validation", *source.notes)
    return source


def splits_there(spec: DataSpec) -> tuple[str, ...]:
    """``train``, ``val``, ``unlabeled``: those that a set can give."""
    splits = _index(spec).splits
    if spec.val_share is not None:
        return ("train", "val")
    val = ("val",) if spec.held_out is not None or {"val", "test"} & splits.keys() else ()
    return (*(("train",) if {"train", WHOLE} & splits.keys() else ()), *val, *({"unlabeled"} & splits.keys()))


def require_held_out(spec: DataSpec) -> None:
    """Raises DataError where training and validation images would be the same."""
    if WHOLE in _index(spec).splits and spec.val_share is None:
        raise DataError(
            f"{spec} has no splits: the same images would be trained and measured on",
            hint=f"--val-share 0.1 (in every verb: the data spec {spec}@val-share=0.1) holds out a tenth of each class",
        )


def _source(spec: DataSpec, index: ShardIndex, name: str, split: str, *, labelled: bool) -> ExtentSource:
    extents = index.load(name)
    if not len(extents):
        said = ", ".join(f"{count:,} {kind}" for kind, count in extents.left_out.items())
        raise DataError(
            f"no images in {spec} ({name}{f'; left out: {said}' if said else ''})", hint="look into a shard"
        )
    assert spec.path is not None
    path = spec.path if spec.path.is_dir() else None
    title = Path(os.path.realpath(path)).name if path is not None else str(spec.path)
    if not labelled:
        return ExtentSource(title, split, (), extents, labels=np.full(len(extents), -1), path=path)
    names = index.class_names or _names_of(index.load("train") if "train" in index.splits else extents)
    wrong = np.flatnonzero((extents.labels < 0) | (extents.labels >= len(names)))
    if len(wrong):
        row = int(wrong[0])
        label = int(extents.labels[row])
        raise DataError(
            f"{spec}: {extents.names[row]} in {extents.files[extents.file[row]]} has "
            f"{'no label' if label < 0 else f'the label {label}, and there are {len(names)} classes'}"
            f"{f' (and {len(wrong) - 1:,} others)' if len(wrong) > 1 else ''}",
            hint="a sample is KEY.jpg with KEY.cls; without labels give it with --unlabeled, or take another split",
        )
    return ExtentSource(title, split, names, extents, path=path)


def _names_of(extents: Extents) -> tuple[str, ...]:
    """The classes' names where every image says its own: its folder, or a WordNet id as ImageNet's files have.

    Names are sorted within a class: what the first and the last begin with, all between them do. Otherwise the names
    are the labels' numbers.
    """
    count = int(extents.labels.max(initial=-1)) + 1
    numbers = tuple(map(str, range(count)))
    starts, stops = (np.searchsorted(extents.labels, np.arange(count), side=side) for side in ("left", "right"))
    names = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if start == stop:
            return numbers
        first, last = extents.names[start], extents.names[stop - 1]
        wnid = _WNID.match(PurePosixPath(first).name)
        folder, slash, _ = first.partition("/")
        name, beginning = (folder, f"{folder}/") if wnid is None else (wnid[1], first[: first.rindex(wnid[0]) + 10])
        if (wnid is None and not slash) or not last.startswith(beginning):
            return numbers
        names.append(name)
    return tuple(names) if len({*names}) == count else numbers


def _no_such_split(spec: DataSpec, index: ShardIndex, split: str) -> DataError:
    wanted = spec.held_out if split == "val" and spec.held_out is not None else split
    hint = "name shards as data-train-0000.tar and data-val-0000.tar, or put them into train/ and val/"
    if split == "val" and spec.held_out is None:
        hint = f"--val-share 0.1 (or {spec}@val-share=0.1) holds out a tenth of each class"
    return DataError(f"{spec} has no split {wanted} (it has {first_few(sorted(index.splits))})", hint=hint)


def _usual(name: str) -> str:
    """train, val or test for any of their usual names."""
    return SPLIT_OF.get(name.lower(), name)


def _index(spec: DataSpec) -> ShardIndex:
    assert spec.path is not None
    return _tar_index(spec.path) if spec.name == "wds" else _arrow_index(spec.path, dict(spec.options))


def _tar_index(place: Path) -> ShardIndex:
    shards = _list_shards(place)
    folder = place if place.is_dir() else place.parent
    info = folder / INFO
    splits: dict[str, list[str]] = {}
    for path in shards:
        splits.setdefault(_split_of(PurePosixPath(os.path.relpath(path, folder))), []).append(path)
    if WHOLE in splits and len(splits) > 1:
        raise DataError(
            f"{place} has shards of the splits {first_few(sorted({*splits} - {WHOLE}))}, and others: "
            f"{first_few([os.path.basename(path) for path in splits[WHOLE]])}",
            hint="name each as data-train-0000.tar, or give a glob of those that are meant",
        )

    def build() -> tuple[Mapping[str, Found], Sequence[str] | None]:
        return {name: scan_shards(paths) for name, paths in splits.items()}, _declared_names(info)

    return cached_index(f"wds\0{place.absolute()}", stamp([*shards, *([info] if is_regular(info) else [])]), build)


def _split_of(path: PurePosixPath) -> str:
    """The split that the name of a shard, or of a folder around it, says: the one word in it that is a split's."""
    for part in (path.stem, *reversed(path.parent.parts)):
        words = {word for word in re.split(r"[^a-z]+", part.lower()) if word in SPLIT_OF or word == "unlabeled"}
        if len(words) == 1:
            return _usual(words.pop())
    return WHOLE


def _list_shards(place: Path) -> list[str]:
    """The .tar files of a folder (in it, or in folders in it) or of a glob, in order."""
    found = (
        [place] if is_regular(place) else place.rglob("*.t*") if place.is_dir() else map(Path, glob.glob(str(place)))
    )
    names = sorted(str(path.absolute()) for path in found if not path.name.startswith("."))
    shards = [name for name in names if name.endswith(".tar") and is_regular(name)]
    if shards:
        return shards
    squeezed = [name for name in names if name.endswith(_COMPRESSED)]
    if squeezed:
        raise DataError(
            f"the shards of {place} are compressed ({os.path.basename(squeezed[0])}): single images cannot be read "
            "out of them",
            hint="unpack them to plain .tar files: images are compressed themselves",
        )
    raise DataError(
        f"no .tar files in {place}", hint="give the folder of the shards, or a glob: 'wds:DATA/*-train-*.tar'"
    )


def _declared_names(info: Path) -> tuple[str, ...] | None:
    try:
        names = read_json(info)["class_names"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if whole and len({*names}) == len(names) else None


def _arrow_index(place: Path, options: Mapping[str, str]) -> ShardIndex:
    from .arrow import load_arrow

    sources = (
        [path for path in sorted(place.rglob("*")) if path.suffix in (".parquet", ".md")] if place.is_dir() else []
    )
    where = str(place.absolute()) if place.is_dir() else str(place)

    def build() -> tuple[Mapping[str, Found], Sequence[str] | None]:
        found, class_names = load_arrow(place, options)
        splits: dict[str, Found] = {}
        for name, one in found.items():
            usual = WHOLE if len(found) == 1 and _usual(name) not in ("train", "val", "test") else _usual(name)
            if usual in splits:
                raise DataError(f"{place} has two splits that are {usual}", hint=f"it has {first_few(sorted(found))}")
            splits[usual] = one
        return splits, class_names

    return cached_index(f"hf\0{where}\0{json.dumps(sorted(options.items()))}", stamp(sources), build)
