"""The SHA-256 of a model's weights in the config.json beside them: one flipped bit is noticed where they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base.digests import sha256_of
from ..base.errors import ModelError
from .json_file import read_json

KEY = "weights_sha256"
"""In kdzoo's block of config.json."""


def with_digest(config: Mapping[str, Any], weights: Path) -> dict[str, Any]:
    """A config.json's content with the digest of the weights file that was just written beside it."""
    return {**config, "kdzoo": {**config.get("kdzoo", {}), KEY: sha256_of(weights)}}


def recorded_digest(config: Any) -> str | None:
    """The digest in a config.json's content; None in a folder that kdzoo did not write, or wrote before it kept one."""
    block = config.get("kdzoo") if isinstance(config, Mapping) else None
    digest = block.get(KEY) if isinstance(block, Mapping) else None
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None


def check_folder(folder: Path) -> None:
    """As ``check_digest``, for a reader of a model folder's weights that needs nothing else of its config.json."""
    config = folder / "config.json"
    check_digest(folder / "model.safetensors", recorded_digest(read_json(config)) if config.is_file() else None)


def check_digest(weights: Path, digest: str | None) -> None:
    """Hold a weights file to its recorded digest, where there is one.

    Raises:
        ModelError: It is not the file that was written.
    """
    if digest is not None and weights.is_file() and sha256_of(weights) != digest:
        raise ModelError(
            f"{weights} is damaged: its SHA-256 is not the one in {weights.parent / 'config.json'}",
            hint="copy or pull the model again, or train it again; if you changed the weights yourself, take "
            f"{KEY} out of config.json",
        )
