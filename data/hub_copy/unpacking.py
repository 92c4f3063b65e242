"""Unpacking: image after image, whole or not at all.

Everything is written into ``OUT.unpacking`` beside OUT, which gets its name when nothing is missing any more. The same
call goes on where an interrupted one stopped: an image that is there byte for byte is not decoded again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import DataError, RunError
from ...base.holding import LOCK, hold_folder
from ...base.writing import clear_errors, make_folder, move_into_place, open_scratch, remove_leftovers, write_file
from ..hub_files import MANIFEST, read_manifest
from ..images import UnreadableImage, decode_stored, image_extension
from ..listing import list_images
from .digests import ClassDigests, with_digests, without_digests
from .planning import UnpackPlan, plan_unpacking
from .rows import read_images, require_pyarrow

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
        num_unverified: Files that were read, of which the copy records no digest.
    """

    out: Path
    num_images: dict[str, int]
    num_classes: int
    num_written: int
    warnings: list[str]
    num_unverified: int = 0


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
    plan = plan_unpacking(folder, config, splits, image_column, label_column)
    if without_digests(read_manifest(out)) == plan.manifest:
        _require_every_image(out, plan)
        return _result(out, plan, 0)
    plan = plan.verified()
    if out.name in ("", "..") or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise DataError(f"{out} is there already, and holds something else", hint="name a folder that is not there")
    real = Path(os.path.realpath(out))  # a link to an empty folder stays one
    partial = real.with_name(f"{real.name}.unpacking")
    _refuse_other(partial, plan)
    _require_space(partial, plan)
    with hold_folder(partial, option="OUT"), clear_errors(partial, option="OUT"):
        remove_leftovers(partial, alone=True)
        _refuse_other(partial, plan)
        # A file may have been downloaded again meanwhile: what is there is compared with it byte for byte.
        _write_manifest(partial, plan.manifest)
        written = _write_images(partial, plan, progress)
        _require_every_image(partial, plan)
        (partial / LOCK).unlink()
        move_into_place(partial, real, option="OUT")
    return _result(out, plan, written)


def _result(out: Path, plan: UnpackPlan, written: int) -> Unpacked:
    return Unpacked(
        out=out,
        num_images={name: split["images"] for name, split in plan.manifest["splits"].items()},
        num_classes=len(plan.manifest["classes"]),
        num_written=written,
        warnings=plan.warnings,
        num_unverified=len(plan.unverified),
    )


def _refuse_other(partial: Path, plan: UnpackPlan) -> None:
    """Raises DataError where something else lies there than what this call began, or nothing."""
    begun = partial.is_dir() and any(not entry.name.startswith(".") for entry in partial.iterdir())
    if begun and _without_identities(read_manifest(partial)) != _without_identities(plan.manifest):
        raise DataError(
            f"{partial} holds another unpacking that was interrupted, or something else",
            hint="give the options that it was begun with, or remove it",
        )


def _require_space(partial: Path, plan: UnpackPlan) -> None:
    """Raises RunError where the disk cannot hold what is to be begun."""
    needed = sum(file["bytes"] for file in plan.manifest["files"])
    free = shutil.disk_usage(make_folder(partial.parent, option="OUT")).free
    if needed > free and not (partial / MANIFEST).exists():
        raise RunError(
            f"the disk is too full for {partial}: it takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            hint="free some space, or name a folder on another disk",
        )


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_file(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", option="OUT")


def _without_identities(manifest: dict[str, Any] | None) -> dict[str, Any] | None:
    manifest = without_digests(manifest)
    if manifest is None or not isinstance(manifest.get("files"), list):
        return None
    names = [file.get("name") if isinstance(file, dict) else None for file in manifest["files"]]
    return {**manifest, "files": names}


def _require_every_image(out: Path, plan: UnpackPlan) -> None:
    """Raises DataError where images were taken away, or an earlier state of the copy left others."""
    for target, split in plan.manifest["splits"].items():
        for class_folder, count in split["class_counts"].items():
            folder = out / target / class_folder
            there = len(list_images(folder).paths) if folder.is_dir() else 0
            if there != count:
                raise DataError(
                    f"{folder} has {there:,} images, the copy {count:,}", hint=f"remove {out} and unpack again"
                )


def _write_images(partial: Path, plan: UnpackPlan, progress: Progress | None) -> int:
    total = sum(split["images"] for split in plan.manifest["splits"].values())
    done = written = 0
    contents = {target: ClassDigests() for target in plan.files}
    for target, files in plan.files.items():
        number = 0
        for class_folder in plan.manifest["splits"][target]["class_counts"]:
            make_folder(partial / target / class_folder, option="OUT")
        for file in files:
            for row, content, label in read_images(plan.source, file, plan.columns):
                stem = partial / target / plan.class_folders[label] / f"{number:07d}"
                written += _write_image(stem, content, f"{plan.source / file} row {row} (counted from 0)")
                contents[target].add(stem.parent.name, stem.name + image_extension(content), content)
                number += 1
                done += 1
                if progress is not None:
                    progress(done, total)
    _write_manifest(partial, with_digests(plan.manifest, plan.sha256, contents))
    return written


def _write_image(stem: Path, content: bytes, origin: str) -> bool:
    """Write one image; False where it was there."""
    path = stem.with_name(stem.name + image_extension(content))
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
    try:
        decode_stored(content, origin)
    except UnreadableImage as error:
        raise DataError(
            f"{origin}: the image cannot be decoded: {error.reason}",
            hint="download that file again; where the copy itself is damaged, tell its owner or take another",
        ) from None
    # Cut short by a kill, it is not there byte for byte, and is written again.
    with clear_errors(path, option="OUT"), open_scratch(path) as file:
        file.write(content)
    return True
