"""Digests of a copy's files and of what was unpacked: what the Hub recorded, what is here, and where they differ.

`hf download --local-dir` keeps each file's ETag in ``.cache/huggingface/download``; in the Hub's own cache a file is a
link to one named by it. The ETag of a large file (Git LFS) is its SHA-256, of a small one Git's SHA-1 of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...base.errors import DataError
from ..listing import list_images

_SHA256, _GIT_SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_BLOCK = 1 << 20
_KEY = "class_sha256"


def verify_files(folder: Path, names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The SHA-256 of each file, each compared with what the Hub recorded.

    Args:
        folder: The copy.
        names: Files below it.

    Returns:
        The digests by name, and the files of which nothing is recorded.

    Raises:
        DataError: A file is not the one that was downloaded, or cannot be read.
    """
    digests: dict[str, str] = {}
    unknown = []
    for name in names:
        path, etag = folder / name, _recorded(folder, name)
        try:
            own, git = _digests(path)
        except OSError as error:
            raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        if etag is None:
            unknown.append(name)
        elif etag not in (own, git):
            raise DataError(
                f"{path} is not the file that was downloaded: its digest is {own[:12]}…, the Hub recorded {etag[:12]}…",
                hint="remove it; the same `hf download` fetches it again",
            )
        digests[name] = own
    return digests, unknown


def _recorded(folder: Path, name: str) -> str | None:
    """The ETag of a downloaded file, where it is a digest."""
    try:
        lines = (folder / ".cache/huggingface/download" / f"{name}.metadata").read_text(encoding="utf-8").split("\n")
        found = lines[1].strip() if len(lines) > 1 else ""
    except (OSError, UnicodeDecodeError):
        found = Path(os.path.realpath(folder / name)).name if (folder / name).is_symlink() else ""
    return found if _SHA256.fullmatch(found) or _GIT_SHA1.fullmatch(found) else None


def _digests(path: Path) -> tuple[str, str]:
    """SHA-256 of a file, and Git's SHA-1."""
    own, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            own.update(block)
            git.update(block)
    return own.hexdigest(), git.hexdigest()


class ClassDigests:
    """A SHA-256 over the images of each class folder of a split, by name and content, in the order of their numbers."""

    def __init__(self) -> None:
        self._running: dict[str, Any] = {}

    def add(self, class_folder: str, name: str, content: bytes) -> None:
        """The next image of a class."""
        running = self._running.setdefault(class_folder, hashlib.sha256())
        running.update(name.encode() + b"\0" + hashlib.sha256(content).digest())

    def finished(self) -> dict[str, str]:
        """By class folder."""
        return {name: running.hexdigest() for name, running in sorted(self._running.items())}


def with_digests(manifest: dict[str, Any], files: dict[str, str], splits: dict[str, ClassDigests]) -> dict[str, Any]:
    """A manifest with the digests of the files that were read and of the images that were written."""
    named = [{**one, "sha256": files[one["name"]]} if one["name"] in files else one for one in manifest["files"]]
    written = {target: {**one, _KEY: splits[target].finished()} for target, one in manifest["splits"].items()}
    return {**manifest, "files": named, "splits": written}


def without_digests(manifest: dict[str, Any] | None) -> dict[str, Any] | None:
    """A manifest as it was before `with_digests`."""
    if manifest is None or not isinstance(manifest.get("files"), list):
        return manifest
    files = [_without(one, "sha256") for one in manifest["files"]]
    splits = {target: _without(one, _KEY) for target, one in manifest["splits"].items()}
    return {**manifest, "files": files, "splits": splits}


def _without(document: Any, key: str) -> Any:
    return {name: value for name, value in document.items() if name != key} if isinstance(document, dict) else document


def other_contents(folder: Path, split: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a class folder holds other images than were unpacked; never where nothing was recorded.

    Args:
        folder: Of the split.
        split: Its entry in the manifest.
    """
    recorded = split.get(_KEY)

    def differs(class_folder: str) -> bool:
        if not isinstance(recorded, dict) or class_folder not in recorded:
            return False
        digests, inside = ClassDigests(), folder / class_folder
        for name in sorted(list_images(inside).paths, key=lambda name: (len(Path(name).stem), name)):
            try:
                digests.add(class_folder, name, (inside / name).read_bytes())
            except OSError:
                return True
        return digests.finished().get(class_folder) != recorded[class_folder]

    return differs
