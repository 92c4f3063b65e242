"""Whether a model's weights are already on this machine. Nothing is downloaded and no network is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg

from .downloads import WEIGHT_FILES, torch_hub_place
from .pulled import pulled_commit, read_record
from .references import Reference
from .weight_index import MODEL_FILES


def is_offline() -> bool:
    """Whether the environment forbids to ask the Hub."""
    return constants.is_offline_mode()


def cached_weights(reference: Reference) -> Path | None:
    """The local file with the weights that a reference names, or None where they would have to be downloaded.

    A folder, run or file of the user's own is its own answer.
    """
    if reference.kind == "zoo":
        return reference.path / "model.safetensors" if read_record(reference.text) is not None else None
    if reference.kind == "hub":
        commit = pulled_commit(reference.repository, reference.revision)
        return _in_hub_cache(reference.repository, MODEL_FILES, commit or reference.revision)
    if reference.kind != "timm":
        return reference.path
    record: Any = get_pretrained_cfg(reference.pinned) if reference.tag else None
    if record is None or not record.has_weights:
        return None
    if record.hf_hub_id:
        repository, _, revision = record.hf_hub_id.partition("@")
        names = (record.hf_hub_filename,) if record.hf_hub_filename else WEIGHT_FILES
        return _in_hub_cache(repository, names, revision or None)
    if not record.url:
        return None
    path, _ = torch_hub_place(record)
    return path if path.is_file() else None


def _in_hub_cache(repository: str, names: tuple[str, ...], revision: str | None) -> Path | None:
    for name in names:
        found = try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE, revision=revision)
        if isinstance(found, str):
            return Path(found)
    return None
