"""Data specs: ``NAME[@PART][:PATH]``, or ``PATH[@PART]…`` of a folder, a table or, for unlabeled images, a manifest.

A folder's parts: the name of a split's folder (``photos@test``: what is validated on), ``val-share=0.1`` (a share of
each class is held out) with ``val-seed=1`` (another such share), ``one-class`` (a single class is meant). So have
``wds:PATH`` (tar shards), ``hf:ORG/NAME`` (a Hub data set, or a folder of parquet) and tables (``photos.csv``), the
last two also ``image=`` and ``label=`` (columns), ``hf:`` also ``config=`` and ``revision=``.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import DataError, UsageError
from ..base.suggestions import suggestion
from .held_out import ValShare, parse_share
from .imagenetv2 import VARIANTS
from .places import data_root, not_placed
from .reading import AS_STORED, Reading, split_reading
from .sources import ImageSource
from .splits import ALL_NAMES, UNLABELED
from .table import COLUMNS, SUFFIXES, find_table, open_table
from .transfer_sets import TRANSFER_SETS, open_transfer_set, parse_partition

IMAGENETV2 = ("imagenetv2", *VARIANTS)
NAMES = ("digits", "cifar10", "cifar100", "imagenet", "imagenet-real", *IMAGENETV2, "mpiigaze", *TRANSFER_SETS)
SHARDED = ("wds", "hf")
"""Names before the colon of data that lies many images to a file."""

SPLITS = ("train", "val", "unlabeled")
EVALUATION_ONLY = ("imagenet-real", *IMAGENETV2)

_IMAGENET_HINT = (
    "get ILSVRC 2012 from image-net.org and unpack it as {path}/train/<wnid>/*.JPEG and {path}/val/<wnid>/*.JPEG; "
    "another place: imagenet:PATH; `digits` is embedded and runs now"
)


@dataclass(frozen=True)
class DataSpec:
    """A data set by name, and where it lies.

    Attributes:
        name: One of NAMES or SHARDED, or ``"folder"``.
        path: The folder (or manifest, or glob, or ORG/NAME on the Hub), or None for the name's default place.
        held_out: Who is evaluated on, of data of people (``mpiigaze@p03``), the official partition (``dtd@2``), or a
            drawn split of few labels (``digits@few-0``); None for the default. Of a folder: the split's folder that is
            validated on (``photos@test``).
        reading: How its files become images.
        val_share: What is held out of class folders that have no validation folder.
        one_class: Whether a single class is meant.
        options: Of ``hf:`` and a table, what chooses configuration, revision and columns, by name.
    """

    name: str
    path: Path | None
    held_out: str | None = None
    reading: Reading = AS_STORED
    val_share: ValShare | None = None
    one_class: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.is_placed:
            parts = [self.held_out, self.val_share, "one-class" if self.one_class else None]
            parts += [f"{option}={value}" for option, value in self.options]
            place = self.path if self.name == "folder" else f"{self.name}:{self.path}"
            return "@".join(str(part) for part in (place, *parts) if part is not None) + str(self.reading)
        name = self.name if self.held_out is None else f"{self.name}@{self.held_out}"
        return f"{name}{self.reading}" if self.path is None else f"{name}:{self.path}{self.reading}"

    @property
    def is_placed(self) -> bool:
        """Whether its place, and no name, says which data it is."""
        return self.name == "folder" or self.name in SHARDED

    @property
    def is_table(self) -> bool:
        """Whether it is a file that lists images and their labels."""
        path = self.path if self.name == "folder" else None
        return path is not None and path.suffix.lower() in SUFFIXES and path.is_file()

    def resolved_path(self) -> Path | None:
        """The folder to read: the given one, or ``$KDZOO_DATA/NAME``; None for embedded data or if neither is set."""
        if self.path is not None or self.name == "digits":
            return self.path
        root = data_root()
        if root is not None and self.name == "imagenet-real" and not (root / self.name).is_dir():
            return root / "imagenet"  # the same images
        return None if root is None else root / self.name


def expand_spec(text: str) -> list[str]:
    """The data sets that a spec stands for: ``imagenetv2[:PATH]`` for its three variants, any other for itself.

    Raises:
        DataError: The path is the folder of one data set, which cannot be three.
    """
    name, colon, place = text.partition(":")
    if name != IMAGENETV2[0]:
        return [text]
    if place and (Path(place).expanduser() / "999").is_dir():
        raise DataError(
            f"{place} holds the classes of one data set, imagenetv2 stands for three",
            hint=f"give the folder above it, or say which one it is: {IMAGENETV2[1]}:{place}",
        )
    return [f"{one}{colon}{place}" for one in IMAGENETV2[1:]]


def parse_data_spec(text: str) -> DataSpec:
    """Read a spec. A known name is never a folder: ``./digits`` is one, ``digits`` is the data set.

    Raises:
        UsageError: An empty text, or a path given to embedded data.
        DataError: Neither a known name nor an existing folder; the nearest name is given.
    """
    text, reading = split_reading(text)
    return replace(_parse(text), reading=reading)


def _parse(text: str) -> DataSpec:
    if not text.strip():
        raise UsageError("an empty data spec", hint=f"give one of {', '.join(NAMES)}, or a folder")
    whole, colon, place = text.partition(":")
    if colon and whole in SHARDED:
        return _parse_sharded(whole, place)
    name, at, held_out = whole.partition("@")
    if name in NAMES and (not at or name in ("digits", "mpiigaze") or name in TRANSFER_SETS):
        if colon and not place:
            raise UsageError(f"the data spec {text!r} has no path after the colon", hint=f"write {name} or {name}:PATH")
        if at and not held_out:
            raise UsageError(
                f"the data spec {text!r} names nothing after the @",
                hint="write mpiigaze@p03, dtd@2, digits@few-0 or the name alone",
            )
        if at and name in TRANSFER_SETS:
            parse_partition(name, held_out)
        if at and name == "digits":
            from .digits import parse_draw

            parse_draw(held_out)
        if name == "digits" and colon:
            raise UsageError("digits is embedded and takes no path", hint="write digits")
        return DataSpec(name, Path(place).expanduser() if colon else None, held_out or None)
    folder = _parse_folder(text)
    if folder is not None:
        return folder
    known = (
        f"known: {', '.join(NAMES)}; or the path of a folder of class folders, a table (.csv), wds:PATH, hf:ORG/NAME"
    )
    raise DataError(f"{text!r} is neither a known data set nor an existing folder", hint=suggestion(name, NAMES, known))


def _parse_folder(text: str) -> DataSpec | None:
    """A folder with its parts, or None where no such path exists. A path that holds an @ itself is tried first."""
    place, parts = text, list[str]()
    while not os.path.lexists(path := Path(place).expanduser()):
        place, at, part = place.rpartition("@")
        if not at or not place:
            return None
        parts.insert(0, part)
    spec = DataSpec("folder", (path.is_dir() and find_table(path)) or path)
    return _with_parts(spec, parts, COLUMNS if spec.is_table else ())


def _parse_sharded(name: str, text: str) -> DataSpec:
    """Tar shards at a path or glob, or a data set of the Hub, with its parts."""
    from .shards.arrow import HUB_NAME, OPTIONS

    place, *parts = text.split("@")
    path = Path(place).expanduser()
    while parts and not os.path.lexists(path) and os.path.lexists(Path(f"{place}@{parts[0]}").expanduser()):
        place = f"{place}@{parts.pop(0)}"  # a path that holds an @ itself
        path = Path(place).expanduser()
    if not place.strip():
        raise UsageError(f"the data spec {name}: has no path after the colon", hint="write wds:PATH or hf:ORG/NAME")
    is_hub_name = name == "hf" and HUB_NAME.fullmatch(place)
    if not os.path.lexists(path) and not is_hub_name and not (name == "wds" and glob.has_magic(place)):
        what = "neither a folder nor ORG/NAME on the Hub" if name == "hf" else "no folder, file or glob of tar shards"
        raise DataError(f"{name}:{place}: {place} is {what}", hint="look at the path")
    return _with_parts(DataSpec(name, path), parts, OPTIONS if name == "hf" else ())


def _with_parts(spec: DataSpec, parts: Sequence[str], options: Sequence[str] = ()) -> DataSpec:
    """The spec with what the parts after its place say.

    Raises:
        UsageError: It has no such part.
    """
    values = dict(part.partition("=")[::2] for part in parts if "=" in part)
    chosen = tuple((option, values.pop(option)) for option in options if option in values)
    words = [part for part in parts if "=" not in part]
    splits = [word for word in words if word.lower() in ALL_NAMES - set(UNLABELED)]
    known = {"val-share", "val-seed"}
    text = "@".join([str(spec), *parts])
    if not values.keys() <= known or {*words} - {*splits, "one-class"} or len(splits) > 1 or len(values) > 2:
        more = "".join(f", {spec}@{option}=NAME" for option in options)
        raise UsageError(
            f"the data spec {text!r} has a part that a folder has not",
            hint=f"write {spec}, {spec}@test (or another split's name), {spec}@val-share=0.1, {spec}@one-class{more}",
        )
    share = None
    if values:
        share = parse_share(values.get("val-share", "nothing"), values.get("val-seed", "0"))
    if share is not None and splits:
        raise UsageError(f"{text!r} names two kinds of validation images", hint=f"leave one out: {spec}@{share}")
    held_out = splits[0] if splits else None
    return replace(spec, held_out=held_out, val_share=share, one_class="one-class" in words, options=chosen)


def with_val_share(text: str, fraction: float) -> str:
    """The spec of the same data with a share of each class held out.

    Raises:
        UsageError: The data has validation images by its name, or the spec has a share.
    """
    spec = parse_data_spec(text)
    if not spec.is_placed or spec.held_out is not None or spec.val_share is not None:
        raise UsageError(f"{text} says itself what is validated on", hint="leave --val-share out")
    return f"{text}@{parse_share(repr(fraction))}"


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
    source = _open(parsed, split)
    if parsed.reading != AS_STORED:  # a manifest has its own
        source.read_as(parsed.reading)
    return source


def _open(parsed: DataSpec, split: str) -> ImageSource:
    path = parsed.resolved_path()
    if parsed.name == "digits":
        from .digits import open_digits

        return open_digits(split, parsed.held_out)
    if parsed.name in IMAGENETV2:
        from .imagenetv2 import find_imagenetv2, open_imagenetv2

        if parsed.name == IMAGENETV2[0]:
            raise UsageError("imagenetv2 stands for three data sets", hint=f"one of {', '.join(IMAGENETV2[1:])}")
        return open_imagenetv2(parsed.name, find_imagenetv2(parsed.name, parsed.path, data_root()), split)
    if parsed.name in SHARDED:
        from .shards import open_shards

        return open_shards(parsed, split)
    if path is None:
        raise not_placed(parsed.name, parsed.name, "`digits` is embedded and runs now")
    if parsed.name == "folder":
        if parsed.is_table:
            if split != "unlabeled" or not (path.parent / UNLABELED[0]).is_dir():
                share, columns = parsed.val_share, parsed.options
                return open_table(path, split, part=parsed.held_out, share=share, columns=columns)
            path = path.parent
        if split == "unlabeled" and path.is_file():
            from .manifest import open_manifest

            return open_manifest(path)
        from .folders import open_folder

        return open_folder(path, split, part=parsed.held_out, share=parsed.val_share, one_class=parsed.one_class)
    if parsed.name in ("imagenet", "imagenet-real"):
        from .imagenet import open_imagenet
        from .imagenet_real import open_imagenet_real

        if not path.is_dir():
            raise DataError(f"{parsed.name} not found: looked for {path}/", hint=_IMAGENET_HINT.format(path=path))
        return open_imagenet(path, split) if parsed.name == "imagenet" else open_imagenet_real(path, split)
    if parsed.name == "mpiigaze":
        from .mpiigaze import open_mpiigaze

        return open_mpiigaze(path, split, parsed.held_out)
    if parsed.name in TRANSFER_SETS:
        return open_transfer_set(parsed.name, path, split, parsed.held_out)
    from .cifar import open_cifar

    return open_cifar(parsed.name, path, split)
