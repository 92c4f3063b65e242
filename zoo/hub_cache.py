"""Checking what the Hub's client downloaded: over plain HTTP it compares sizes alone."""

from __future__ import annotations

import re
from pathlib import Path

from ..base.digests import git_sha1, sha256_of
from ..base.errors import ModelError


def checked(path: Path, named: str) -> Path:
    """A file of the local cache, after its content was compared with the digest that the Hub promised.

    The cache names a blob after that digest: SHA-256 for large files, Git's SHA-1 for the others. A file that differs
    is taken out of the cache, so that the next try downloads it anew.

    Args:
        path: As ``hf_hub_download`` returns it.
        named: The repository, for the message.

    Raises:
        ModelError: The content is not what was promised.
    """
    blob = path.resolve()
    digest = blob.name
    if re.fullmatch(r"[0-9a-f]{64}", digest):
        found = sha256_of(blob)
    elif re.fullmatch(r"[0-9a-f]{40}", digest):
        found = git_sha1(blob.read_bytes())
    else:  # a cache without links, or a server that names its files otherwise
        return path
    if found != digest:
        blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise ModelError(
            f"{path.name} of {named} was damaged on the way: its digest is {found[:12]}…, not {digest[:12]}…",
            hint="it was taken out of the cache; try again",
        )
    return path
