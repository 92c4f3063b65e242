"""Weights in several files, as large models are shared: an index beside them says which holds which tensor."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..base.errors import ModelError
from .downloads import WEIGHT_FILES, hub_file
from .json_file import read_json

INDEX_SUFFIX = ".index.json"
MODEL_FILES = (*WEIGHT_FILES, *(f"{name}{INDEX_SUFFIX}" for name in WEIGHT_FILES))
"""Where a folder or a repository holds a model's weights, the preferred name first."""


def weights_in(folder: Path) -> Path:
    """The file in a folder that holds a model's weights, or the index of its pieces; the usual name where none does."""
    return next((folder / name for name in MODEL_FILES if os.path.lexists(folder / name)), folder / WEIGHT_FILES[0])


def hub_weights(repository: str, revision: str | None, *, prefer_cache: bool) -> Path:
    """A repository's weights in the local cache, all pieces of them; see ``downloads.hub_file``."""
    path = hub_file(repository, MODEL_FILES, revision, prefer_cache=prefer_cache)
    if path.name.endswith(INDEX_SUFFIX):
        for name in shard_names(path):
            hub_file(repository, (name,), revision, prefer_cache=prefer_cache)
    return path


def weight_pieces(weights: Path) -> list[Path]:
    """The files of a model's weights that are there: the file itself, or those that an index names."""
    if not weights.name.endswith(INDEX_SUFFIX):
        return [weights]
    return [path for name in shard_names(weights) if (path := weights.parent / name).is_file()]


def shard_names(index: Path) -> list[str]:
    """The files that an index of weights in pieces names, in order; all lie beside it.

    Raises:
        ModelError: It is no such index.
    """
    record = read_json(index)
    named = record.get("weight_map") if isinstance(record, Mapping) else None
    if not isinstance(named, Mapping) or not named:
        raise ModelError(f"{index} has no weight_map", hint="it is not the index of weights in several files")
    names = list(dict.fromkeys(named.values()))
    if not all(isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*", name, re.ASCII) for name in names):
        raise ModelError(f"{index} names files outside its own folder", hint="get the folder again")
    return names
