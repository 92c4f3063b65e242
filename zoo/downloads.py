"""Finding weights: in the local caches first, then on the Hugging Face Hub or at the address that timm knows.

Where the Hub cannot be reached, that is found out once and quickly, and only the cache is looked at from then on.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from ..base.errors import ModelError
from ..base.writing import make_folder
from .hub_cache import checked

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_REACH_TIMEOUT_S = 5.0
_OFFLINE = "offline you have random weights, models of your own runs, and 'kdzoo demo'"

# Read when huggingface_hub is first imported, which may have been before this line.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
constants.HF_HUB_DISABLE_TELEMETRY = True


@functools.lru_cache(maxsize=1)
def hub_is_reachable() -> bool:
    """Whether the Hub answers at all; asked once a process."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_REACH_TIMEOUT_S)
    except Exception:  # whatever the HTTP library calls 'no route', 'no name', 'no answer'
        return False
    return True


def hub_file(
    repository: str, names: tuple[str, ...], revision: str | None = None, *, prefer_cache: bool = False
) -> Path:
    """The first of ``names`` that a repository on the Hub has, as a file in the local cache.

    Args:
        repository: ``ORG/NAME``.
        names: File names, the preferred one first.
        revision: Branch, tag or commit; None for the default branch.
        prefer_cache: Do not ask the Hub where the cache has a file.

    Raises:
        ModelError: The file is neither in the cache nor on the Hub, was damaged on the way, or the Hub cannot be
            reached.
    """
    cache = Path(constants.HF_HUB_CACHE)
    named = f"{repository}@{revision}" if revision else repository
    if prefer_cache or not hub_is_reachable():
        for name in names:
            found = try_to_load_from_cache(repository, name, cache_dir=cache, revision=revision)
            if isinstance(found, str):
                return checked(Path(found), named)
    get_it = f"hf download {repository}" + (f" --revision {revision}" if revision else "")
    if not hub_is_reachable():
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"
        raise ModelError(
            f"{named} is not in the local cache {cache}, and {why}",
            hint=f"where there is a network: {get_it} (then copy the cache); {_OFFLINE}",
        )
    try:
        for name in names:
            try:
                path = Path(hf_hub_download(repository, name, revision=revision, cache_dir=cache))
                return checked(path, named)
            except EntryNotFoundError as error:
                if isinstance(error, FileNotFoundError):  # the connection broke: this is not about the file
                    raise
    except ModelError:
        raise
    except GatedRepoError as error:
        raise ModelError(
            f"{named} is gated",
            hint=f"accept its terms at {constants.ENDPOINT}/{repository}, then: hf auth login",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no repository {repository} on the Hub, or it is private",
            hint="check the name; for a private one: hf auth login",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{repository} has no revision {revision!r}", hint="check the revision") from error
    except Exception as error:  # a connection that breaks, a full disk, a refused proxy: all mean 'no file'
        raise ModelError(
            f"{named} could not be downloaded to {cache} ({type(error).__name__})", hint=f"try again, or: {get_it}"
        ) from error
    raise ModelError(f"{named} has none of {', '.join(names)}", hint="it is not a model in timm's layout")


def torch_hub_place(record: Any) -> tuple[Path, str]:
    """Where torch's hub keeps weights that lie at an address of their own, and that address."""
    url, name = (record.url, "") if isinstance(record.url, str) else record.url
    return Path(torch.hub.get_dir()) / "checkpoints" / (name or os.path.basename(urlparse(url).path)), url


def timm_weights_file(record: Any, pinned: str) -> Path:
    """The file with timm's published weights, downloaded if it is not in a cache.

    Args:
        record: timm's ``PretrainedCfg``.
        pinned: The model's name with its tag, for messages.

    Raises:
        ModelError: timm has no such weights, or they are in no cache and cannot be downloaded.
    """
    if record is None or not record.has_weights:
        raise ModelError(f"timm has no weights for {pinned}", hint="ask for random weights, or give a weights file")
    if record.hf_hub_id:
        repository, _, revision = record.hf_hub_id.partition("@")
        names = (record.hf_hub_filename,) if record.hf_hub_filename else WEIGHT_FILES
        return hub_file(repository, names, revision or None, prefer_cache=True)
    path, url = torch_hub_place(record)
    if path.is_file():
        return path
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"the weights of {pinned} are not at {path}, and HF_HUB_OFFLINE is set",
            hint=f"where there is a network: download {url} to that place; {_OFFLINE}",
        )
    make_folder(path.parent)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=True)
    except Exception as error:  # as above
        raise ModelError(
            f"the weights of {pinned} are not at {path} and could not be downloaded ({type(error).__name__})",
            hint=f"where there is a network: download {url} to that place; {_OFFLINE}",
        ) from error
    return path
