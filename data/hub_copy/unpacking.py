"""Unpacking: what is to be written, then image after image, whole or not at all.

Everything is written into ``OUT.unpacking`` beside OUT, which gets its name when nothing is missing any more. The same
call goes on where an interrupted one stopped: an image that is there byte for byte is not decoded again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, KdzooError, RunError
from ..hub_files import MANIFEST, read_manifest
from ..images import UnreadableImage, decode_rgb, image_extension
from ..listing import list_images
from .columns import Columns, choose_columns, own_features
from .files import assign_splits, choose_files, require_whole
from .names import folder_names
from .readme import declared_counts, declared_features, front_matter
from .rows import count_labels, opened, read_images, require_pyarrow

_FORMAT = 1
_TAIL = 65_536

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What an unpacking did.

    Attributes:
        out: The class folders.
        num_images: Images of each folder (train, val, test).
        num_classes: Class folders.
        num_written: Images that this call wrote; the others were there.
        warnings: What should be known.
    """

    out: Path
    num_images: dict[str, int]
    num_classes: int
    num_written: int
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What will be written."""

    source: Path
    files: dict[str, list[str]]
    columns: Columns
    class_folders: dict[int | str, str]
    manifest: dict[str, Any]
    warnings: list[str]


def unpack(
    folder: Path,
    out: Path,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    config: str | None = None,
    splits: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Unpacked:
    """Write a copy's images as ``OUT/train/CLASS/…``, ``OUT/val/CLASS/…``, ``OUT/test/CLASS/…``.

    The images' bytes stay as they are; each is decoded once to see that it can be. Memory does not grow with the files.

    Args:
        folder: What `hf download --repo-type dataset` or `git clone` left.
        out: Must not be there, or be empty, or be what this call would make.
        image_column, label_column: The columns, where more than one could be meant.
        config: The configuration, where there are several.
        splits: (folder of OUT, split of the copy) pairs, where the usual names do not say it.
        progress: Called with (images done, images in all).

    Raises:
        DataError: The copy is damaged, incomplete or no image data set, or OUT holds something else.
        UsageError: Something has to be chosen.
        RunError: pyarrow is missing, the disk is full, or OUT cannot be written.
    """
    require_pyarrow()
    plan = _plan(folder, config, splits, image_column, label_column)
    if read_manifest(out) == plan.manifest:
        return _result(out, plan, 0)
    if out.name in ("", "..") or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise DataError(f"{out} is there already, and holds something else", hint="name a folder that is not there")
    partial = out.with_name(f"{out.name}.unpacking")
    with _disk_errors(partial), _alone(partial):
        _begin(partial, plan)
        written = _write_images(partial, plan, progress)
        _require_nothing_else(partial, plan)
        if hasattr(os, "sync"):
            os.sync()  # one for all the images: a name that says "whole" must not outlive a power cut without them
        if out.exists():
            out.rmdir()  # it is empty; only POSIX would replace it
        os.replace(partial, out)
    return _result(out, plan, written)


def _result(out: Path, plan: _Plan, written: int) -> Unpacked:
    return Unpacked(
        out=out,
        num_images={name: split["images"] for name, split in plan.manifest["splits"].items()},
        num_classes=len(plan.manifest["classes"]),
        num_written=written,
        warnings=plan.warnings,
    )


def _plan(
    folder: Path, config: str | None, wanted: Sequence[tuple[str, str]], image: str | None, label: str | None
) -> _Plan:
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
    return _Plan(
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
            shown = ", ".join(class_folders[label] for label in absent[:5])
            more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            warnings.append(
                f"{name} has no image of {len(absent)} of the classes ({shown}{more}); "
                "splits with different classes are not read together"
            )
    return warnings


def _identity(path: Path) -> dict[str, Any]:
    """A file's size, and SHA-256 of its last 64 KiB, where parquet keeps what the file holds and where."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        return {"bytes": size, "tail_sha256": hashlib.sha256(file.read()).hexdigest()}


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """No other process writes there meanwhile."""
    from filelock import FileLock, Timeout

    partial.parent.mkdir(parents=True, exist_ok=True)
    lock = partial.with_name(f".{partial.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    lock.unlink()
    except Timeout:
        raise RunError(f"another process is unpacking into {partial}", hint="wait for it, or stop it first") from None


def _begin(partial: Path, plan: _Plan) -> None:
    """The folder with its manifest: a new one, or that of an interrupted call.

    A file may have been downloaded again meanwhile: the images that are there are compared with it byte for byte.
    """
    if partial.exists():
        if _without_identities(read_manifest(partial)) != _without_identities(plan.manifest):
            raise DataError(
                f"{partial} holds another unpacking that was interrupted, or something else",
                hint="give the options that it was begun with, or remove it",
            )
        _write_manifest(partial, plan.manifest)
        return
    needed = sum(file["bytes"] for file in plan.manifest["files"])
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise RunError(
            f"the disk is too full for {partial}: it takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            hint="free some space, or name a folder on another disk",
        )
    # Made whole under another name: the folder is never there without its manifest.
    making = partial.with_name(f".{partial.name}.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    _write_manifest(making, plan.manifest)
    os.replace(making, partial)


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    temporary = folder / f".{MANIFEST}"
    temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, folder / MANIFEST)


def _without_identities(manifest: dict[str, Any] | None) -> dict[str, Any] | None:
    if manifest is None or not isinstance(manifest.get("files"), list):
        return None
    names = [file.get("name") if isinstance(file, dict) else None for file in manifest["files"]]
    return {**manifest, "files": names}


def _require_nothing_else(partial: Path, plan: _Plan) -> None:
    """Raises DataError where an earlier state of the copy left images that this one does not have."""
    for target, split in plan.manifest["splits"].items():
        for class_folder, count in split["class_counts"].items():
            folder = partial / target / class_folder
            there = len(list_images(folder).paths)
            if there != count:
                raise DataError(
                    f"{folder} has {there:,} images, the copy {count:,}: others were begun with",
                    hint=f"remove {partial} and begin again",
                )


def _write_images(partial: Path, plan: _Plan, progress: Progress | None) -> int:
    total = sum(split["images"] for split in plan.manifest["splits"].values())
    done = written = 0
    for target, files in plan.files.items():
        number = 0
        for class_folder in plan.manifest["splits"][target]["class_counts"]:
            (partial / target / class_folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            for row, content, label in read_images(plan.source, file, plan.columns):
                stem = partial / target / plan.class_folders[label] / f"{number:07d}"
                written += _write_image(stem, content, f"{plan.source / file} row {row} (counted from 0)")
                number += 1
                done += 1
                if progress is not None:
                    progress(done, total)
    return written


def _write_image(stem: Path, content: bytes, origin: str) -> bool:
    """Write one image; False where it was there."""
    path = stem.with_name(stem.name + image_extension(content))
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
    try:
        decode_rgb(content, origin)
    except UnreadableImage as error:
        raise DataError(
            f"{origin}: the image cannot be decoded: {error.reason}",
            hint="download that file again; where the copy itself is damaged, tell its owner or take another",
        ) from None
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return True


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """The system's refusals to write, a clear line each."""
    try:
        yield
    except KdzooError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"the disk is full: {path} could not be written", hint="free some space; the same command then goes on"
            ) from None
        raise RunError(f"{path} could not be written: {reason}", hint="name another folder") from None
