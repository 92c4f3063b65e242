"""Where kdzoo keeps what it made or fetched once: pulled models, digests that it trusts, indexes of shards, locks."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def kdzoo_home() -> Path:
    """``$KDZOO_HOME``, else ``$XDG_CACHE_HOME/kdzoo``, else ``~/.cache/kdzoo``. It need not exist."""
    own = os.environ.get("KDZOO_HOME")
    if own:
        return Path(own).expanduser().absolute()
    # The XDG specification: a relative path is to be ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "kdzoo"


def safe_part(text: str) -> str:
    """``text`` as one name in a folder: whatever it holds, no other place than that folder is meant.

    Names of letters, digits, ``_``, ``-`` and single dots stay as they are; others are changed and get a piece of their
    digest, so that two of them never meet.
    """
    safe = re.sub(r"^\.+|\.{2,}|[^A-Za-z0-9_.-]", "_", text) or "_"
    if safe == text and 0 < len(safe) <= 100:
        return safe
    return f"{safe[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
