"""What an unpacking will write, found out before anything is: splits, columns, classes, counts."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...base.amounts import first_few
from ...base.errors import DataError
from .columns import Columns, choose_columns, own_features
from .digests import verify_files
from .files import assign_splits, choose_files, require_whole
from .names import folder_names
from .readme import declared_counts, declared_features, front_matter
from .rows import count_labels, opened

_FORMAT = 1
_TAIL = 65_536


@dataclass(frozen=True, kw_only=True)
class UnpackPlan:
    """What will be written.

    Attributes:
        source: The copy's folder.
        files: Those of each folder (train, val, test), in reading order.
        columns: What is read of them.
        class_folders: The folder of each label.
        manifest: What is written beside the folders; JSON-able.
        warnings: What should be known.
        sha256: Of each file, once they were verified.
        unverified: Files of which the copy records no digest.
    """

    source: Path
    files: dict[str, list[str]]
    columns: Columns
    class_folders: dict[int | str, str]
    manifest: dict[str, Any]
    warnings: list[str]
    sha256: dict[str, str] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()

    def verified(self) -> UnpackPlan:
        """The same plan, its files compared with the digests that the Hub recorded.

        Raises:
            DataError: One is not the file that was downloaded.
        """
        sha256, unverified = verify_files(self.source, [file["name"] for file in self.manifest["files"]])
        return replace(self, sha256=sha256, unverified=tuple(unverified))


def plan_unpacking(
    folder: Path, config: str | None, wanted: Sequence[tuple[str, str]], image: str | None, label: str | None
) -> UnpackPlan:
    """Look at everything but the images.

    Args:
        folder: The copy.
        config: Its configuration, or None for the only one.
        wanted: (folder, split) pairs; empty for the usual names.
        image, label: Columns, or None for the only ones that could be meant.

    Raises:
        DataError: The copy is damaged, incomplete or no image data set.
        UsageError: Something has to be chosen.
    """
    matter = front_matter(folder)
    config, found = choose_files(folder, config, matter)
    folders, left_out = assign_splits(found, wanted)
    files = {name: [file for split in splits for file in found[split]] for name, splits in folders.items()}
    every = [file for some in files.values() for file in some]
    if len(set(every)) != len(every):
        raise DataError(f"a file of {folder} belongs to two splits by README.md", hint="choose one with --split")
    require_whole(folder, every)
    columns = _columns_of_all(folder, every, declared_features(matter, config), image, label)
    labels = {name: count_labels(folder, some, columns) for name, some in files.items()}
    total: Counter[int | str] = sum(labels.values(), Counter())
    if not total:
        raise DataError(f"the parquet files in {folder} have no rows", hint="download the copy again")
    class_folders = _class_folders(columns, total)
    warnings = _differences(labels, class_folders)
    if left_out:
        warnings.append(f"left out: the splits {', '.join(left_out)} (--split val=NAME takes one)")
    for name, count in declared_counts(matter, config).items():
        for target, splits in folders.items():
            if splits == [name] and count != labels[target].total():
                warnings.append(f"{target}: {labels[target].total():,} images; the copy's README.md says {count:,}")
    manifest = {
        "format": _FORMAT,
        "files": [{"name": file, **_identity(folder / file)} for file in every],
        "config": config,
        "image_column": columns.image,
        "label_column": columns.label,
        "splits": {
            target: {
                "from": splits,
                "images": labels[target].total(),
                "class_counts": {class_folders[label]: labels[target][label] for label in sorted(labels[target])},
            }
            for target, splits in folders.items()
        },
        "classes": [
            {"folder": class_folders[label], "name": columns.names[int(label)] if columns.names else str(label)}
            for label in sorted(total)
        ],
    }
    return UnpackPlan(
        source=folder,
        files=files,
        columns=columns,
        class_folders=class_folders,
        manifest=manifest,
        warnings=warnings,
    )


def _columns_of_all(
    folder: Path, files: Sequence[str], from_readme: dict[str, Any], image: str | None, label: str | None
) -> Columns:
    first: Columns | None = None
    for name in files:
        with opened(folder, name) as file:
            schema = file.schema_arrow
            own = own_features(schema)
            named = {column: feature for column, feature in own.items() if _has_names(feature)}
            columns = choose_columns(schema, {**own, **from_readme, **named}, name, image, label)
        if first is not None and columns != first:
            raise DataError(
                f"{name} has other columns or classes than {files[0]}",
                hint="the folder mixes two data sets or two uploads: download it into an empty folder",
            )
        first = columns
    assert first is not None
    return first


def _has_names(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel"


def _class_folders(columns: Columns, counts: Counter[int | str]) -> dict[int | str, str]:
    """The folder of each label: of all classes that have a name, otherwise of the labels that occur."""
    if columns.names is not None:
        return dict(enumerate(folder_names(columns.names)))
    labels = sorted(counts)
    return dict(zip(labels, folder_names([str(label) for label in labels]), strict=True))


def _differences(labels: dict[str, Counter[int | str]], class_folders: dict[int | str, str]) -> list[str]:
    warnings = []
    for name, counts in labels.items():
        absent = sorted({label for others in labels.values() for label in others} - set(counts))
        if absent:
            shown = first_few([class_folders[label] for label in absent])
            warnings.append(
                f"{name} has no image of {len(absent)} of the classes ({shown}); "
                "splits with different classes are not read together"
            )
    return warnings


def _identity(path: Path) -> dict[str, Any]:
    """A file's size, and SHA-256 of its last 64 KiB, where parquet keeps what the file holds and where."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        return {"bytes": size, "tail_sha256": hashlib.sha256(file.read()).hexdigest()}
