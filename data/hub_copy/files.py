"""The parquet files of a downloaded copy, sorted into configurations and splits.

README.md's ``configs`` decide; without them the names of files and folders do, as the Hub itself reads them
(huggingface.co/docs/hub/datasets-file-names-and-splits): ``data/train-00000-of-00003.parquet``,
``CONFIG/train/0000.parquet`` (the Hub's own conversion, refs/convert/parquet), ``test.parquet``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ...base.amounts import first_few
from ...base.errors import DataError, UsageError
from ..hub_files import hub_files
from .readme import declared_files

# huggingface.co/docs/hub/datasets-file-names-and-splits: "the following keywords are equivalent".
SPLIT_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""The folder of a split that the Hub knows by this name."""

_SHARD = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<rest>.*)")
_POINTER = b"version https://git-lfs.github.com/spec/"
_MAGIC = b"PAR1"

Splits = dict[str, list[str]]


def list_parquet(folder: Path) -> list[str]:
    """Every parquet file below a folder, as relative paths in order; hidden folders (.git, .cache) are left out.

    Raises:
        DataError: There is none, or the folder is none.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", hint="give the folder that `hf download --local-dir` made")
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        base = Path(root).relative_to(folder)
        found += [(base / name).as_posix() for name in names if name.endswith(".parquet") and name[0] != "."]
    if found:
        return sorted(found)
    if hub_files(folder) == "arrow":
        raise DataError(
            f"{folder} holds arrow files, as the datasets library's save_to_disk writes them, and no parquet files",
            hint="download the copy from the Hub, or write it with the datasets library's to_parquet",
        )
    raise DataError(
        f"no parquet files in {folder}",
        hint="where a repository keeps its images in another form, take the Hub's own conversion: "
        "hf download --repo-type dataset ORG/NAME --revision refs/convert/parquet --local-dir FOLDER",
    )


def choose_files(folder: Path, config: str | None, matter: dict[str, Any]) -> tuple[str, Splits]:
    """The configuration, and the files of each of its splits by the Hub's names.

    Args:
        folder: The copy.
        config: Which one; None where there is one only.
        matter: README.md's front matter.

    Raises:
        DataError: No parquet files, or shards that are missing or there twice.
        UsageError: There are several configurations, or not this one.
    """
    files = list_parquet(folder)
    configs = _as_declared(files, matter) or _by_name(files)
    if config is None and len(configs) > 1:
        raise UsageError(
            f"{folder} has {len(configs)} configurations: {first_few(sorted(configs), 8)}",
            hint="choose one with --config",
        )
    chosen = config if config is not None else next(iter(configs))
    if chosen not in configs:
        raise UsageError(f"{folder} has no configuration {chosen!r}", hint=f"it has {first_few(sorted(configs), 8)}")
    for name, listed in configs[chosen].items():
        _require_every_shard(folder, name, listed)
    return chosen, configs[chosen]


def require_whole(folder: Path, files: Sequence[str]) -> None:
    """Raises DataError for Git LFS pointers, and for files that do not begin and end as parquet files do."""
    pointers = []
    for name in files:
        path = folder / name
        try:
            with open(path, "rb") as file:
                head = file.read(len(_POINTER))
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - len(_MAGIC)))
                tail = file.read()
        except OSError as error:
            raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        if head == _POINTER:
            pointers.append(name)
        elif head[:4] != _MAGIC or tail != _MAGIC:
            what = "is truncated" if head[:4] == _MAGIC else "is no parquet file"
            raise DataError(
                f"{path} ({size:,} bytes) {what}",
                hint="remove it; the same `hf download` fetches it again",
            )
    if pointers:
        raise DataError(
            f"{len(pointers)} of the {len(files)} parquet files in {folder} are Git LFS pointers, not the data: "
            f"{first_few(pointers, 8)}",
            hint=f"run `git lfs pull` in {folder}, or download with `hf download --repo-type dataset`",
        )


def assign_splits(found: Splits, wanted: Sequence[tuple[str, str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Which of the Hub's splits go into which folder, and which are left out.

    Args:
        found: The copy's splits.
        wanted: (folder, split) pairs; empty for train, validation and test by their usual names.

    Raises:
        UsageError: No such split, none with a usual name, or two that would share a folder unasked.
    """
    folders: dict[str, list[str]] = {}
    names = [name for _, name in wanted]
    for folder, name in wanted:
        if name not in found:
            raise UsageError(f"the copy has no split {name!r}", hint=f"it has {first_few(sorted(found), 8)}")
        if names.count(name) > 1:
            raise UsageError(f"the split {name!r} is asked for twice", hint="one folder a split")
        folders.setdefault(folder, []).append(name)
    if not wanted:
        for name in found:
            if name.lower() in SPLIT_OF:
                folders.setdefault(SPLIT_OF[name.lower()], []).append(name)
        shared = next(((folder, some) for folder, some in folders.items() if len(some) > 1), None)
        if shared is not None:
            raise UsageError(
                f"the splits {first_few(shared[1], 8)} would all go into {shared[0]}/",
                hint=f"choose, such as --split train=train --split {shared[0]}={shared[1][0]}",
            )
        if not folders:
            raise UsageError(
                f"no split is called train, validation or test: there are {first_few(sorted(found), 8)}",
                hint=f"choose, such as --split train={min(found)}",
            )
    taken = {name for some in folders.values() for name in some}
    ordered = {folder: folders[folder] for folder in sorted(folders, key=("train", "val", "test").index)}
    return ordered, sorted(set(found) - taken)


def _as_declared(files: Sequence[str], matter: dict[str, Any]) -> dict[str, Splits]:
    """README.md's configurations that have files here."""
    configs = {}
    for config, patterns in declared_files(matter).items():
        splits = {}
        for split, globs in patterns.items():
            accepts = [re.compile(_expression(glob)) for glob in globs]
            matched = [name for name in files if any(accept.fullmatch(name) for accept in accepts)]
            if matched:
                splits[split] = matched
        if splits:
            configs[config] = splits
    return configs


def _expression(glob: str) -> str:
    """A regular expression for a glob in which ``*`` stays within a folder and ``**`` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(part) or re.escape(part) for part in parts)


def _by_name(files: Sequence[str]) -> dict[str, Splits]:
    """Configurations and splits as the names of files and folders say them."""
    places = {name: _place_of(PurePosixPath(name)) for name in files}
    nothing_said = all(split is None for _, split in places.values())
    configs: dict[str, Splits] = {}
    for name, (config, split) in places.items():
        known = "train" if nothing_said else split or PurePosixPath(name).stem
        configs.setdefault(config, {}).setdefault(known, []).append(name)
    return configs


def _place_of(path: PurePosixPath) -> tuple[str, str | None]:
    """The configuration and the split of one file."""
    folders = list(path.parent.parts)
    shard = _SHARD.fullmatch(path.stem)
    split = shard["name"] if shard and re.fullmatch(r"\w+(\.\w+)*", shard["name"]) else _keyword(path.stem)
    if split is None:
        at = next((at for at in reversed(range(len(folders))) if _keyword(folders[at])), None)
        if at is not None:
            split = _keyword(folders[at])
            folders = folders[:at]
    return "/".join(part for part in folders if part != "data") or "default", split


def _keyword(text: str) -> str | None:
    """The one word in a name that is a split's."""
    words = {word for word in re.split(r"[^a-z]+", text.lower()) if word in SPLIT_OF}
    return words.pop() if len(words) == 1 else None


def _require_every_shard(folder: Path, split: str, files: Sequence[str]) -> None:
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name in files:
        path = PurePosixPath(name)
        shard = _SHARD.fullmatch(path.stem)
        if shard:
            groups.setdefault((str(path.parent), shard["name"]), []).append((int(shard["number"]), int(shard["count"])))
    for shards in groups.values():
        counts = {count for _, count in shards}
        numbers = sorted(number for number, _ in shards)
        if len(counts) > 1 or len(set(numbers)) != len(numbers):
            raise DataError(
                f"the split {split} in {folder} has shards of more than one upload: {first_few(files, 8)}",
                hint="remove the older ones: images would be read twice",
            )
        count = counts.pop()
        missing = [number for number in range(count) if number not in set(numbers)]
        if missing:
            raise DataError(
                f"the split {split} in {folder} has {len(numbers)} of {count} shards: {missing[0]:05d} is missing",
                hint="the download was cut short: the same `hf download` goes on",
            )
