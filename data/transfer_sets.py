"""The data sets that backbones are transferred to: where each is looked for, and how to get it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..base.errors import DataError, UsageError
from .folders import hub_copy_explained, open_all_for_training
from .hub_files import hub_files
from .sources import ImageSource
from .splits import has_split_folders


@dataclass(frozen=True, kw_only=True)
class TransferSet:
    """One data set.

    Attributes:
        module: Of this package; it has ``find_MODULE`` (path to the folder of the official layout, or None) and
            ``open_MODULE`` (that folder, split and, where there are some, partition to a source).
        looked_for: What marks the official layout.
        get: How to get it; ``{path}`` stands for the folder.
        partitions: How many official partitions there are; 0 for one fixed split.
    """

    module: str
    looked_for: str
    get: str
    partitions: int = 0

    def function(self, verb: str) -> Callable[..., Any]:
        """The module's function that finds or opens the data, imported when it is needed."""
        found: Callable[..., Any] = getattr(import_module(f".{self.module}", __package__), f"{verb}_{self.module}")
        return found


TRANSFER_SETS = {
    name: TransferSet(**row)
    for name, row in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
"""By name."""


def open_transfer_set(name: str, path: Path, split: str, part: str | None = None) -> ImageSource:
    """One split of a data set, in its official layout or in class folders (`kdzoo data unpack` makes these).

    Args:
        name: One of TRANSFER_SETS.
        path: The folder that holds it.
        split: ``"train"`` is the official training (and validation) images, ``"val"`` the official test images.
        part: The partition, ``"1"`` to ``"10"``, of data that has some; None for the first.

    Raises:
        UsageError: There is no such partition.
        DataError: It is not there (with how to get it), or not as it should be.
    """
    known = TRANSFER_SETS[name]
    partition = parse_partition(name, part)
    root = known.function("find")(path)
    if root is not None:
        arguments = (partition,) if known.partitions else ()
        source: ImageSource = known.function("open")(root, split, *arguments)
        return source
    if name == "voc2007" and path.is_dir() and (has_split_folders(path) or hub_files(path)):
        raise DataError(
            f"{path} has class folders, or the Hub's copy; an image of voc2007 may show several classes",
            hint=known.get.format(path=path),
        )
    with hub_copy_explained(path, f"{name}:"):
        if not path.is_dir() or not has_split_folders(path):
            raise _not_found(name, path)
        if part is not None:
            raise UsageError(
                f"{path} has train/ and test folders and no official partitions", hint=f"write {name}:{path}"
            )
        return open_all_for_training(path, split, name=name)


def _not_found(name: str, path: Path) -> DataError:
    known = TRANSFER_SETS[name]
    return DataError(
        f"{name} not found: looked for {known.looked_for} and for class folders in {path}/",
        hint=f"{known.get.format(path=path)}; another place: {name}:PATH; `digits` is embedded and runs now",
    )


def parse_partition(name: str, part: str | None) -> int:
    """The number that a spec gives of a partition; 1 where it gives none.

    Raises:
        UsageError: The data set has none, or not this one.
    """
    count = TRANSFER_SETS[name].partitions if name in TRANSFER_SETS else 0
    if part is None:
        return 1
    if not count:
        raise UsageError(f"{name} has no partitions", hint=f"write {name}")
    if not part.isdecimal() or not 1 <= int(part) <= count:
        raise UsageError(f"{name} has the partitions 1 to {count}, not {part!r}", hint=f"write {name}@1")
    return int(part)
