"""Tar shards as webdataset writes them: a sample's files lie together and share a key, ``KEY.jpg`` with ``KEY.cls``.

A label is the whole number in ``KEY.cls``, or ``"label"`` in ``KEY.json``. Nothing is unpacked: a name is never a path.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ...base.errors import DataError
from ..images import IMAGE_EXTENSIONS
from .index import Found

NAME_KEY = "kdzoo_name"
"""In ``KEY.json``: the image's name, where it cannot be a key itself."""

_BLOCK = 512
_REGULAR = (b"0", b"\0")
_LONGEST = {"cls": 64, "json": 1 << 20}  # bytes of what is read of a label
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_HOSTILE = re.compile(r"^/|^[A-Za-z]:[\\/]|(^|[/\\])\.\.([/\\]|$)|[\x00-\x1f\x7f]")
_AGAIN = "download it, or write it, again"


@dataclass
class _Sample:
    key: str
    name: str = ""
    extent: tuple[int, int] | None = None  # offset and size of the image
    label: int = -1


def scan_shards(paths: list[str]) -> Found:
    """Every image of some shards.

    Raises:
        DataError: One is compressed, damaged or truncated, a key is there twice, a label is none, a name is hostile.
    """
    found = Found(paths)
    for number, path in enumerate(paths):
        try:
            with open(path, "rb") as file:
                for sample in _samples(path, file, found.left_out):
                    if sample.extent is None:
                        found.left_out["labels without an image"] += 1
                    else:
                        found.add(sample.name, sample.label, number, *sample.extent)
        except OSError as error:
            raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    return found


def _samples(path: str, file: BinaryIO, left_out: Counter[str]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    for name, offset, size in _members(path, file, left_out):
        folder, slash, base = name.rpartition("/")
        stem, dot, extension = base.partition(".")
        extension = extension.lower()
        if not stem:
            continue  # hidden, as in folders
        if f".{extension}" not in IMAGE_EXTENSIONS and extension not in _LONGEST:
            left_out[f"{dot}{extension}"] += 1
            continue
        key = f"{folder}{slash}{stem}"
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = _Sample(key)
        if extension in _LONGEST:
            if size <= _LONGEST[extension]:
                _read_label(path, sample, extension, os.pread(file.fileno(), size, offset))
        elif sample.extent is not None:
            raise DataError(f"{path} has two images with the key {key}", hint="one image a key, or keys of their own")
        else:
            sample.name, sample.extent = sample.name or name, (offset, size)
    if sample is not None:
        yield sample


def _read_label(path: str, sample: _Sample, extension: str, content: bytes) -> None:
    if extension == "cls":
        if not re.fullmatch(rb"\s*\d{1,9}\s*", content):
            shown = content[:20].decode(errors="replace")
            raise DataError(f"{path}: the label {sample.key}.cls is {shown!r}, no whole number", hint=_AGAIN)
        sample.label = int(content)
        return
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        label, name = document.get("label"), document.get(NAME_KEY)
        if sample.label < 0 and type(label) is int and 0 <= label < 10**9:
            sample.label = label
        if isinstance(name, str):
            refuse_hostile(path, name)
            sample.name = name


def _members(path: str, file: BinaryIO, left_out: Counter[str]) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of every ordinary file of a shard; what lies between the headers is not read."""
    descriptor, length, position = file.fileno(), os.fstat(file.fileno()).st_size, 0
    while True:
        block = os.pread(descriptor, _BLOCK, position)
        if len(block) < _BLOCK and (position or not block):
            raise DataError(f"{path} is truncated: a tar file ends with a block of zeros", hint=_AGAIN)
        if not block.strip(b"\0"):
            return
        plain = _plain(block)
        if plain is not None:
            (name, size), start = plain, position + _BLOCK
            position = start + -(-size // _BLOCK) * _BLOCK
        else:  # a long name, a folder, a link, or damage
            info, position = _member_at(path, file, position, block)
            name, size, start = info.name, info.size, info.offset_data
            if not info.isreg() or info.issparse():
                left_out["links, devices or files with holes"] += not info.isdir()
                continue
        if start + size > length:
            raise DataError(f"{path} is truncated: {name[:80]!r} goes on beyond its end", hint=_AGAIN)
        name = name.removeprefix("./")
        refuse_hostile(path, name)
        yield name, start, size


def _member_at(path: str, file: BinaryIO, position: int, block: bytes) -> tuple[tarfile.TarInfo, int]:
    """What a header says that takes `tarfile` to be read, and where the next one stands."""
    try:
        file.seek(position)
        tar = tarfile.TarFile(fileobj=file)
        info = tar.next()
        if info is not None and tar.offset > position:
            return info, tar.offset
        reason = "no header of a file"
    except (tarfile.TarError, ValueError, OverflowError) as error:
        reason = str(error)
    kind = next((kind for start, kind in _COMPRESSED.items() if position == 0 and block.startswith(start)), None)
    if kind is not None:
        raise DataError(
            f"{path} is compressed ({kind}): single images cannot be read out of it",
            hint="unpack it to a plain .tar: images are compressed themselves",
        )
    what = "is no tar file" if position == 0 else f"is damaged at byte {position:,}: {reason}"
    raise DataError(f"{path} {what}", hint=_AGAIN)


def _plain(block: bytes) -> tuple[str, int] | None:
    """Name and size of an ordinary file whose header stands alone and is whole; None for any other."""
    if block[156:157] not in _REGULAR or len(block) < _BLOCK:
        return None
    try:
        size, checksum = int(block[124:136].strip(b" \0"), 8), int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return None
    if sum(block) - sum(block[148:156]) + 8 * 32 != checksum:
        return None
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    return (os.fsdecode(name), size) if not name.endswith(b"/") else None


def refuse_hostile(path: str, name: str) -> None:
    """Raises DataError for a name that leads out of a folder, or that a terminal would act on."""
    if _HOSTILE.search(name) or len(name) > 1000:
        raise DataError(
            f"{path} holds the name {name[:80]!r}, which leads elsewhere or has control characters",
            hint="no honest data set has such names: look at where this comes from",
        )
