"""Folder names for classes: harmless on every system, all different, and in the order of the labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ...base.errors import DataError
from ..listing import class_order

_LONGEST_NAME = 500  # characters; ImageNet's longest has about 130
_LONGEST_FOLDER = 100  # bytes of UTF-8; file systems take 255
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
# learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def folder_names(names: Sequence[str]) -> list[str]:
    """One folder a class, such that the sorted folders are in label order.

    A name stays as it is where it can. Characters that some system does not take become ``_``. Where the names are not
    in sorted order, or two would be one folder, every name gets its label in front: ``007.polka-dotted``.

    Args:
        names: In label order.

    Raises:
        DataError: A name that no honest data set has: empty, with control characters, with ``..`` as a part, a drive,
            or of more than 500 characters.
    """
    folders = [_harmless(name, label) for label, name in enumerate(names)]
    different = len({folder.casefold() for folder in folders}) == len(folders)
    if different and class_order(folders) == folders:
        return folders
    width = len(str(len(folders) - 1))
    return [f"{label:0{width}d}.{folder}" for label, folder in enumerate(folders)]


def _harmless(name: str, label: int) -> str:
    reason = _hostile(name)
    if reason:
        raise DataError(
            f"class {label} is called {name[:40]!r}: {reason}",
            hint="no folder is made for such a name; look at where this copy comes from",
        )
    text = unicodedata.normalize("NFC", name).strip("/\\ ")
    text = "".join("_" if one in _NOT_IN_NAMES or not one.isprintable() else one for one in text)
    text = text.encode()[:_LONGEST_FOLDER].decode(errors="ignore")
    text = re.sub(r"^[. ]+|[. ]+$", lambda edge: "_" * len(edge[0]), text)
    return f"_{text}" if _RESERVED.fullmatch(text) else text or "_"


def _hostile(name: str) -> str | None:
    if not name.strip("/\\ "):
        return "no name"
    if len(name) > _LONGEST_NAME:
        return f"{len(name):,} characters"
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in name):
        return "control characters in a name"
    if ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:[/\\]", name):
        return "a path that leads elsewhere"
    return None
