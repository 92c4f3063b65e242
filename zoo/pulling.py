"""Pulling a model by name: download, check, read safely, convert, save in timm's layout, remember.

A model is pulled once. Afterwards it is loaded from kdzoo's home with no network, its files' digests checked. Two pulls
of one model at once wait for each other; a pull that was stopped leaves nothing that looks like a model.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from timm.data import ImageNetInfo
from torch import Tensor

from ..base.digests import sha256_of
from ..base.errors import ModelError, RunError, UsageError
from ..base.home import kdzoo_home, safe_part
from ..base.writing import make_folder
from .building import create, load_model, load_renamed
from .conversion import convert
from .conversion.renaming import read_map
from .downloads import hub_file, timm_weights_file
from .entries import ENTRIES, PROMISED_ON, Entry, address_at, get_entry
from .fetching import Progress, check_address, fetch
from .loaded import LoadedModel
from .model_folder import refuse_oversized
from .pdparams import read_pdparams
from .preprocessing import describe_view
from .pulled import (
    damage,
    digest_place,
    forget,
    model_folder,
    pulled_commit,
    read_record,
    trust_digest,
    trusted_digest,
    write_commit,
    write_record,
)
from .references import Reference, parse_reference
from .saving import save_model
from .weight_files import read_states
from .weight_index import hub_weights
from .weights import load_weights, read_weights


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a pull did.

    Attributes:
        name: What was asked for.
        path: The model's folder in timm's layout; the weights file, for weights that timm loads by itself.
        outcome: ``pulled``, ``there`` where it had been pulled before, or ``converted`` to a folder of the user's.
        digest: SHA-256 of the published file.
        trust: How the digest was checked: ``published``, ``recorded`` (at an earlier pull), ``first`` (recorded now).
        licence: Of the weights; None where none is given.
        notes: What the user should know.
    """

    name: str
    path: Path
    outcome: str
    digest: str
    trust: str
    licence: str | None
    notes: tuple[str, ...] = ()


Report = Callable[[str], Progress]
"""Makes the progress of a file from its name."""


def pull(
    reference: str,
    *,
    mirror: str | None = None,
    digest: str | None = None,
    force: bool = False,
    report: Report | None = None,
) -> Pulled:
    """Fetch a model so that it loads by its name, offline from then on.

    Args:
        reference: A zoo name, a timm name with its tag, or ``hf-hub:ORG/NAME[@REVISION]``.
        mirror: Address of a copy of the releases' layout; ``$KDZOO_MIRROR`` by default.
        digest: SHA-256 that the published file must have.
        force: Download again; a file that differs from the one trusted before is then accepted and trusted.
        report: Makes a progress callback for a file.

    Raises:
        ModelError: There is no such model, its file is missing, damaged, not the one that is trusted, or unreadable.
        RunError: There is no room, or another process holds the model.
        UsageError: The mirror's address cannot be used.
    """
    mirror = mirror or os.environ.get("KDZOO_MIRROR") or None
    if mirror:
        check_address(mirror)
    entry = ENTRIES.get(reference)
    if entry is not None:
        if entry.format == "none":
            raise ModelError(
                f"{entry.name} is a row of a paper: {entry.notes[-1]}",
                hint="'kdzoo models show NAME' shows the number and its source",
            )
        return (
            _pull_timm(entry.timm_name, entry)
            if entry.timm_name
            else _pull_release(entry, mirror, digest, force, report)
        )
    parsed = parse_reference(reference)
    if parsed.kind == "hub":
        return _pull_hub(parsed)
    if parsed.kind == "timm":
        if not parsed.tag:
            raise ModelError(
                f"{reference} names no published weights", hint="'kdzoo pull' alone lists what can be pulled"
            )
        return _pull_timm(parsed.pinned, None)
    raise UsageError(f"{reference} is on this machine already", hint="it can be used as it is, wherever REF stands")


def convert_file(path: Path, name: str, *, digest: str | None = None, force: bool = False) -> Pulled:
    """Take a published file that is on this machine already, as if it had been pulled under ``name``.

    Args:
        path: A ``.pdparams``, ``.pth`` or ``.safetensors`` file; it is only read.
        name: The zoo's name of what it holds.
        digest: SHA-256 that it must have.
        force: Accept a file that differs from the one trusted before, and trust it.

    Raises:
        ModelError: It is not what its name says, or cannot be read.
    """
    entry = get_entry(name)
    if entry.format not in ("pth", "pdparams"):
        raise ModelError(
            f"{name} is not converted from a file", hint=f"'kdzoo models show {name}' says where its weights are"
        )
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path")
    with held(name):
        found = sha256_of(path)
        trust = _check_digest(entry, found, digest, force, str(path))
        return _install(entry, path, found, trust, f"file {path.name}")


def convert_weights(path: Path, name: str, out: Path, *, key_map: Path | None = None) -> Pulled:
    """Turn anybody's weights file into a folder in timm's layout.

    Args:
        path: A weights file; it is only read.
        name: Its architecture, timm's or ``torchvision/NAME``.
        out: The folder to write.
        key_map: A map of the file's names, see ``conversion.renaming``.

    Raises:
        ModelError: The weights do not fit, the map cannot be read, or the folder holds something else.
    """
    reference = f"{name}={path}"
    loaded = load_model(reference) if key_map is None else load_renamed(reference, read_map(key_map))
    found = sha256_of(path)
    save_model(loaded, out, provenance={"from": path.name, "sha256": found, "converted_from": {"names": name}})
    held = sum(len(state.tensors) for state in read_states(path))
    notes = (f"{len(loaded.model.state_dict())} tensors filled; the file holds {held}", *loaded.notes)
    return Pulled(
        name=loaded.architecture, path=out, outcome="converted", digest=found, trust="first", licence=None, notes=notes
    )


def _pull_release(entry: Entry, mirror: str | None, digest: str | None, force: bool, report: Report | None) -> Pulled:
    with held(entry.name):
        record = read_record(entry.name)
        if record is not None and not force and damage(entry.name) is None:
            _check_digest(entry, str(record.get("sha256")), digest, False, str(model_folder(entry.name)))
            return Pulled(
                name=entry.name,
                path=model_folder(entry.name),
                outcome="there",
                digest=str(record.get("sha256")),
                trust="recorded",
                licence=entry.licence,
            )
        address = address_at(entry, mirror)
        target = kdzoo_home() / "downloads" / f"{safe_part(entry.name)}-{safe_part(entry.file_name)}"
        try:
            found = fetch(address, target, progress=report(entry.file_name) if report else None)
            trust = _check_digest(entry, found, digest, force, address)
            return _install(entry, target, found, trust, address)
        finally:
            target.unlink(missing_ok=True)


def _check_digest(entry: Entry, found: str, wanted: str | None, force: bool, source: str) -> str:
    """How far a file with this digest can be trusted; refuses one that is not the expected."""
    trusted = trusted_digest(entry.name)
    wanted = wanted.lower() if wanted else None
    if wanted is not None and found != wanted:
        raise ModelError(
            f"{source} has the SHA-256 {found}, and {wanted} was asked for", hint="it is refused, and nothing is kept"
        )
    if entry.digest is not None:
        if found != entry.digest:
            raise ModelError(
                f"{source} has the SHA-256 {found}, and its publisher states {entry.digest}",
                hint="it was damaged or changed on its way: pull it again, or from another mirror",
            )
        return "published"
    if trusted is None:
        return "first"
    if found != trusted:
        if force:
            return "first"
        raise ModelError(
            f"{source} has the SHA-256 {found}; when {entry.name} was first pulled it was {trusted}",
            hint=f"it was damaged or changed; --force trusts the new one from now on (recorded in "
            f"{digest_place(entry.name)})",
        )
    return "recorded"


def _install(entry: Entry, path: Path, found: str, trust: str, source: str) -> Pulled:
    loaded, how = _read(entry, path)
    place = model_folder(entry.name)
    forget(entry.name)
    save_model(loaded, place, provenance=_provenance(entry, found, source) | how)
    write_record(entry.name, {"name": entry.name, "address": entry.address, "from": source, "sha256": found, **how})
    if trust == "first":
        trust_digest(entry.name, found, entry.file_name)
    notes = () if entry.licence else ("these weights come with no licence",)
    return Pulled(
        name=entry.name, path=place, outcome="pulled", digest=found, trust=trust, licence=entry.licence, notes=notes
    )


def _read(entry: Entry, path: Path) -> tuple[LoadedModel, dict[str, Any]]:
    """The model in a published file, and how it was converted."""
    if path.suffix == ".pdparams":
        if not entry.network:
            raise ModelError(
                f"{entry.name} is not published as a .pdparams file", hint=f"its file is {entry.file_name}"
            )
        converted = convert(entry.network, read_pdparams(path))
        arguments, tensors, classes = converted.model_args, converted.state_dict, converted.num_classes
        how = {"converted_from": {"network": converted.network, "keys": converted.dialect}}
    else:
        tensors, arguments, classes = read_weights(path), dict(entry.model_args), 1000
        how = {}
    model = create(entry.architecture, str(path), num_classes=classes, **arguments)
    load_weights(model, tensors, str(path))
    _refuse_not_finite(tensors, path)
    info = ImageNetInfo()
    return LoadedModel(
        reference=entry.name,
        architecture=entry.architecture,
        model_args=arguments,
        model=model,
        preprocessing=entry.preprocessing,
        num_classes=classes,
        class_names=tuple(info.label_names()) if classes == 1000 else (),
        licence=entry.licence,
        pretrained=True,
    ), how


def _refuse_not_finite(tensors: dict[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path.name} holds values that are not finite, in {name}", hint="get the file again")


def _provenance(entry: Entry, found: str, source: str) -> dict[str, Any]:
    """kdzoo's block of config.json: what the entry says, and what file it was."""
    first = entry.results[0]
    block = {
        "zoo_name": entry.name,
        "source": entry.source,
        "address": entry.address,
        "from": source,
        "sha256": found,
        "licence": entry.licence or "none given",
        "top1": first.top1,
        "top5": first.top5,
        "data": PROMISED_ON,
        "protocol": describe_view(first.image_size, first.crop_pct, first.interpolation),
        "numbers_from": first.source,
        "paper": entry.to_dict()["paper"]["url"],
        "teachers": list(entry.teachers),
        "notes": list(entry.notes),
    }
    return block | ({"license": entry.licence} if entry.licence else {})


def _pull_timm(pinned: str, entry: Entry | None) -> Pulled:
    """Weights that timm hosts go to the cache where timm itself looks for them, and are not stored a second time."""
    from timm.models import get_pretrained_cfg

    record = get_pretrained_cfg(pinned)
    with held(pinned):
        path = timm_weights_file(record, pinned)
        found, trusted = sha256_of(path), trusted_digest(pinned)
        stored = path.resolve().name  # the Hub's client names a file of its cache after its SHA-256
        published = stored if len(stored) == 64 and set(stored) <= set("0123456789abcdef") else None
        expected = published or trusted
        if expected not in (None, found):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ModelError(
                f"the weights of {pinned} have the SHA-256 {found}, and not {expected}: they are damaged, and removed",
                hint=f"get them again: kdzoo pull {entry.name if entry else pinned}",
            )
        if trusted is None:
            trust_digest(pinned, found, path.name)
        return Pulled(
            name=entry.name if entry else pinned,
            path=path,
            outcome="pulled" if trusted is None else "there",
            digest=found,
            trust="published" if published else "recorded" if trusted else "first",
            licence=entry.licence if entry else record.license if record else None,
            notes=(f"timm's {pinned}, in the cache that timm uses",),
        )


def _pull_hub(parsed: Reference) -> Pulled:
    """A repository in timm's layout: kept in the cache of the Hub's client, checked, and pinned to its commit."""
    named = f"{parsed.repository}@{parsed.revision}" if parsed.revision else parsed.repository
    with held(f"hf-hub--{named}"):
        before = pulled_commit(parsed.repository, parsed.revision)
        config = hub_file(parsed.repository, ("config.json",), parsed.revision)
        commit = config.parent.name
        weights = hub_weights(parsed.repository, commit, prefer_cache=True)
        try:
            refuse_oversized(config, weights)
            loaded = load_model(f"local-dir:{config.parent}", pretrained=True)
        except ModelError:
            for path in (config, weights):
                path.resolve().unlink(missing_ok=True)
                path.unlink(missing_ok=True)
            raise
        write_commit(parsed.repository, parsed.revision, commit)
        return Pulled(
            name=parsed.text,
            path=config.parent,
            outcome="there" if commit == before else "pulled",
            digest=sha256_of(weights),
            trust="published",
            licence=loaded.licence,
            notes=(f"commit {commit}", *loaded.notes),
        )


@contextlib.contextmanager
def held(slot: str) -> Iterator[None]:
    """While this is open, no other process pulls the same model."""
    place = kdzoo_home() / "locks" / f"{safe_part(slot)}.lock"
    try:
        make_folder(place.parent, option="KDZOO_HOME")
        lock = FileLock(place)
        lock.acquire()
    except (OSError, RunError) as error:
        raise RunError(
            f"kdzoo cannot write to {kdzoo_home()} ({getattr(error, 'strerror', None) or error})",
            hint="set KDZOO_HOME to a folder that can be written",
        ) from error
    try:
        yield
    finally:
        lock.release()
