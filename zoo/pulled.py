"""What lies in kdzoo's home: which models were pulled, whether they are still whole, and the digests that are trusted.

models/NAME/            config.json, model.safetensors, README.md: timm's layout
models/NAME.json        where it came from, and the SHA-256 of every file in the folder
hub/ORG--NAME.json      which commit of a repository on the Hub was pulled
digests/NAME.sha256     the published file's SHA-256, as sha256sum writes it: recorded at the first pull, held to after
downloads/, locks/      what is under way
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..base.digests import sha256_of
from ..base.errors import ModelError
from ..base.home import kdzoo_home, safe_part
from ..base.writing import write_file, write_json


def model_folder(slot: str) -> Path:
    """Where a pulled model lies, or would lie."""
    return kdzoo_home() / "models" / safe_part(slot)


def read_record(slot: str) -> dict[str, Any] | None:
    """The record of a pulled model; None where it was not pulled (or not to the end)."""
    try:
        record = json.loads(_record_path(slot).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(record, dict) and isinstance(record.get("files"), dict) and model_folder(slot).is_dir()
    return record if whole else None


def write_record(slot: str, record: Mapping[str, Any]) -> None:
    """Write down where a model came from, with the digests of its files as they are now."""
    files = {path.name: sha256_of(path) for path in sorted(model_folder(slot).iterdir())}
    write_json(_record_path(slot), {**record, "pulled": _now(), "files": files}, option="KDZOO_HOME")


def pulled_commit(repository: str, revision: str | None) -> str | None:
    """The commit of a repository on the Hub that was pulled; None where none was.

    The files themselves lie in the cache of the Hub's client, where timm finds them too.
    """
    try:
        commit = json.loads(_hub_record_path(repository, revision).read_text(encoding="utf-8"))["commit"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return commit if isinstance(commit, str) and re.fullmatch("[0-9a-f]{40}", commit) else None


def write_commit(repository: str, revision: str | None, commit: str) -> None:
    """Remember which commit was pulled: it is the one that is loaded from now on, with no network."""
    record = {"repository": repository, "revision": revision, "commit": commit, "pulled": _now()}
    write_json(_hub_record_path(repository, revision), record, option="KDZOO_HOME")


def forget(slot: str) -> None:
    """Take a model's record away: it counts as not pulled from now on."""
    _record_path(slot).unlink(missing_ok=True)


def damage(slot: str) -> str | None:
    """What is wrong with a pulled model's files, compared with their recorded digests; None where nothing is."""
    record = read_record(slot)
    if record is None:
        return "it is not there"
    for name, digest in record["files"].items():
        path = model_folder(slot) / safe_part(name)
        if not path.is_file():
            return f"{name} is missing"
        if sha256_of(path) != digest:
            return f"the SHA-256 of {name} is not the one that it was written with"
    return None


def whole_folder(slot: str, again: str) -> Path | None:
    """The folder of a pulled model, its digests checked; None where it was not pulled.

    Args:
        slot: See ``model_folder``.
        again: The command that gets it again, for the message.

    Raises:
        ModelError: It was pulled, and its files are damaged.
    """
    if read_record(slot) is None:
        return None
    wrong = damage(slot)
    if wrong:
        raise ModelError(f"{model_folder(slot)} is damaged: {wrong}", hint=f"get it again: {again}")
    return model_folder(slot)


def trusted_digest(slot: str) -> str | None:
    """The SHA-256 that the published file had when it was first pulled; None before that."""
    try:
        words = digest_place(slot).read_text(encoding="utf-8").split()
    except OSError:
        return None
    return words[0] if words and re.fullmatch("[0-9a-f]{64}", words[0]) else None


def trust_digest(slot: str, digest: str, file_name: str) -> None:
    """Hold every later pull to this SHA-256."""
    write_file(digest_place(slot), f"{digest}  {file_name}\n", option="KDZOO_HOME")


def digest_place(slot: str) -> Path:
    """The file that holds the trusted digest."""
    return kdzoo_home() / "digests" / f"{safe_part(slot)}.sha256"


def _record_path(slot: str) -> Path:
    return kdzoo_home() / "models" / f"{safe_part(slot)}.json"


def _hub_record_path(repository: str, revision: str | None) -> Path:
    named = repository.replace("/", "--") + (f"--{revision}" if revision else "")
    return kdzoo_home() / "hub" / f"{safe_part(named)}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
