"""Writing tar shards from any labelled or unlabelled images: ``kdzoo data pack``.

The same images give the same bytes. A sample is ``NAME.jpg`` and ``NAME.cls``, its name that of the image, so that the
shards are read under the names of the folders that they are from. What could not be a key in other readers (dots in
the stem, long or foreign names, two images of one stem) is called by its number, its name beside it in a ``.json``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...base.errors import DataError, UsageError
from ...base.holding import LOCK, hold_folder
from ...base.regular_files import read_json
from ...base.writing import clear_errors, move_into_place, open_scratch, remove_leftovers, write_file, write_json
from ..contents import file_stats, sizes_digest
from ..images import IMAGE_EXTENSIONS, image_extension
from ..randomness import epoch_order
from ..reading import AS_STORED
from ..several_labels import SeveralLabelsSource
from ..sources import ImageSource
from .opening import INFO
from .tar import NAME_KEY, refuse_hostile

_KEY = re.compile(
    r"[A-Za-z0-9_ ()+,=/-]{0,90}[A-Za-z0-9_ ()+,=-]\.[A-Za-z0-9]{1,5}"
)  # fits into a plain header with any label's ending
_NUMBERED = "kdzoo-numbered"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What a packing did.

    Attributes:
        out: The folder of the shards.
        num_images: Of each split.
        num_shards: In all.
        num_written: Shards that this call wrote; the others were there.
    """

    out: Path
    num_images: dict[str, int]
    num_shards: int
    num_written: int


def pack(
    sources: dict[str, ImageSource],
    out: Path,
    *,
    images_per_shard: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write splits as ``OUT/SPLIT-000000.tar``, …, and ``OUT/_info.json`` with the classes and timm's list of shards.

    The files' bytes stay as they are; images in memory become PNG. Images are spread over a split's shards by chance
    (always the same), as readers that go through shards in order want them. Until all is there the folder is called
    ``OUT.packing``, and the same call goes on where an interrupted one stopped.

    Args:
        sources: By split: ``train``, ``val``, ``unlabeled``.
        out: Must not be there, or be empty, or be what this call would make.
        images_per_shard: Of each shard but a split's last.
        progress: Called with (shards done, shards in all), before the first too.

    Raises:
        DataError: An image cannot be read, or OUT holds something else.
        UsageError: The images have no single class each, or a reading of their own.
        RunError: The disk is full, or OUT cannot be written.
    """
    for source in sources.values():
        _refuse_other_kinds(source)
    plan = _plan(sources, images_per_shard)
    names = [name for split in plan["splits"].values() for name in split["filenames"]]
    images = {split: len(source) for split, source in sources.items()}
    if _recorded(out / INFO) == plan:
        if missing := [name for name in names if not (out / name).is_file()]:
            raise DataError(f"{out} lacks {missing[0]}", hint=f"remove {out} and pack again")
        return Packed(out=out, num_images=images, num_shards=len(names), num_written=0)
    if out.name in ("", "..") or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise DataError(f"{out} is there already, and holds something else", hint="name a folder that is not there")
    real = Path(os.path.realpath(out))
    partial = real.with_name(f"{real.name}.packing")
    written = done = 0
    with hold_folder(partial, option="OUT"), clear_errors(partial, option="OUT"):
        remove_leftovers(partial, alone=True)
        _refuse_other(partial, plan)
        write_json(partial / INFO, plan, option="OUT")
        if progress is not None:
            progress(0, len(names))
        for split, source in sources.items():
            order, shared = epoch_order(len(source), 0, 0, f"pack/{split}"), _shared_keys(source)
            for number, name in enumerate(plan["splits"][split]["filenames"]):
                rows = order[number * images_per_shard :][:images_per_shard]
                if not (partial / name).exists():  # it is there whole or not at all
                    write_file(partial / name, _Shard(source, rows, shared), option="OUT")
                    written += 1
                done += 1
                if progress is not None:
                    progress(done, len(names))
        (partial / LOCK).unlink()
        move_into_place(partial, real, option="OUT")
    return Packed(out=out, num_images=images, num_shards=len(names), num_written=written)


def _refuse_other_kinds(source: ImageSource) -> None:
    if source.targets is not None or isinstance(source, SeveralLabelsSource):
        raise UsageError(f"{source.name} has no single class an image", hint="shards hold one class each, or none")
    if source.reading != AS_STORED:
        raise UsageError(
            f"shards hold files as they are, not read as {source.reading}",
            hint=f"leave it out here and write it after the shards' own spec: wds:OUT{source.reading}",
        )


def _plan(sources: dict[str, ImageSource], images_per_shard: int) -> dict[str, Any]:
    """What OUT will hold, in the form of timm's reader of shards; the digests tell other images from these."""
    splits = {}
    for split, source in sources.items():
        counts = [min(images_per_shard, len(source) - first) for first in range(0, len(source), images_per_shard)]
        splits[split] = {
            "name": split,
            "num_samples": len(source),
            "filenames": [f"{split}-{number:06d}.tar" for number in range(len(counts))],
            "shard_lengths": counts,
            "fingerprint": source.fingerprint(),
            "sizes": sizes_digest(file_stats(source)),
        }
    names = next((source.class_names for source in sources.values() if source.class_names), ())
    return {"class_names": list(names), "splits": splits}


def _recorded(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return read_json(path)
    return None


def _refuse_other(partial: Path, plan: dict[str, Any]) -> None:
    begun = any(not entry.name.startswith(".") for entry in partial.iterdir())
    if begun and _recorded(partial / INFO) != plan:
        raise DataError(
            f"{partial} holds another packing that was interrupted, or something else",
            hint="give the data and options that it was begun with, or remove it",
        )


class _Shard:
    """Writes a shard to a path.

    Args:
        source: The split.
        rows: The images, in this order.
        shared: Keys that are not those of one image alone.
    """

    def __init__(self, source: ImageSource, rows: np.ndarray, shared: frozenset[str]) -> None:
        self._source, self._rows, self._shared = source, rows, shared

    def __call__(self, path: Path) -> None:
        with open_scratch(path) as file:
            for name, content in self._members():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                file.write(info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE))
            file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _members(self) -> Iterator[tuple[str, bytes]]:
        for row in self._rows.tolist():
            name, label, content = self._source.identity(row), int(self._source.labels[row]), self._source.encoded(row)
            if content is None:
                content, name = _as_png(self._source.load(row)), f"{name}.png"
            refuse_hostile(self._source.name, name)
            key, extension = os.path.splitext(name)
            numbered = not _KEY.fullmatch(name) or extension.lower() not in IMAGE_EXTENSIONS or key in self._shared
            if numbered:
                key, extension = f"{_NUMBERED}/{row:09d}", image_extension(content)
            yield f"{key}{extension}", content
            if label >= 0:
                yield f"{key}.cls", str(label).encode()
            if numbered:
                yield f"{key}.json", json.dumps({NAME_KEY: name}).encode()


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _shared_keys(source: ImageSource) -> frozenset[str]:
    seen: set[str] = set()
    shared: set[str] = set()
    for row in range(len(source)):
        key = os.path.splitext(source.identity(row))[0]
        (shared if key in seen else seen).add(key)
    return frozenset(shared)
