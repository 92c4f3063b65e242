"""Is this installation fit for work? Versions against their floors, compiled operators, devices, folders, space."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "note", "problem"]

_GIB = 2**30
_LITTLE_SPACE = 5 * _GIB
_DATA_NAMES = ("imagenet", "cifar10", "cifar100")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What.
        status: ``ok``; ``note`` for something to know; ``problem`` for something that keeps kdzoo from working.
        found: What was found, a line.
        hint: What to do, or an empty string.
    """

    check: str
    status: Status
    found: str
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything; a check that fails unexpectedly is itself a finding."""
    findings: list[Finding] = []
    for check in (
        _python,
        _versions,
        _torchvision,
        _devices,
        _processors,
        _engines,
        _data,
        _hub_cache,
        _space,
        _writable,
    ):
        try:
            findings += check()
        except Exception as error:
            findings.append(Finding(check.__name__.strip("_"), "problem", f"{type(error).__name__}: {error}"))
    return findings


def _python() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}, {platform.platform()}")


def _versions() -> Iterator[Finding]:
    """Every required package against the floor that the installed kdzoo itself declares."""
    from packaging.requirements import Requirement

    for text in metadata.requires("kdzoo") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = str(requirement.specifier)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(requirement.name, "problem", f"missing, needs {wanted}", f"pip install '{requirement}'")
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        hint = "" if fits else f"pip install -U '{requirement}'"
        yield Finding(requirement.name, "ok" if fits else "problem", f"{version} (needs {wanted})", hint)


def _torchvision() -> Iterator[Finding]:
    """torchvision's compiled operators fit one build of torch only, and fail at import or at the first call."""
    hint = "torch and torchvision are of different builds: reinstall both from the same index"
    try:
        import torch
        from torchvision.ops import nms

        kept = nms(torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]), torch.tensor([1.0, 0.5]), 0.5).tolist()
    except (ImportError, RuntimeError, OSError) as error:
        yield Finding("torchvision operators", "problem", str(error).strip().splitlines()[0], hint)
        return
    works = kept == [0]
    yield Finding("torchvision operators", "ok" if works else "problem", f"nms kept {kept}", "" if works else hint)


def _devices() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        yield Finding("gpu", "note", f"none that torch can use; {built}", "training runs on the CPU")
        return
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        device = torch.device("cuda", index)
        total = float(torch.ones(8, device=device).sum())
        status: Status = "ok" if total == 8 else "problem"
        yield Finding(f"gpu {index}", status, f"{found.name}, {found.total_memory / _GIB:.0f} GiB")


def _processors() -> Iterator[Finding]:
    import torch

    from .engine.allocator import keep_freed_memory

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cpu", "ok", f"{usable} cores usable, torch uses {torch.get_num_threads()} threads")
    kept, why = keep_freed_memory()
    hint = "" if kept else "networks are up to half as fast on this CPU without it"
    yield Finding("cpu memory", "ok" if kept else "note", f"{'' if kept else 'not '}kept when freed ({why})", hint)


def _engines() -> Iterator[Finding]:
    """The frameworks of the papers' detectors and segmentors, beside what their tests were run with."""
    from .transfer.detection import engines as boxes
    from .transfer.segmentation import engines as masks

    frameworks = (
        ("detectron2", boxes.why_no_detectron2(), boxes.DETECTRON2_REVISION, boxes.install_lines()),
        ("onedl-mmsegmentation", masks.why_no_mmseg(), ", ".join(masks.PINS), masks.install_lines()),
    )
    for package, missing, tested, lines in frameworks:
        if missing is None:
            yield Finding(package, "ok", f"{_installed(package)}; tested with {tested}")
        else:
            yield Finding(package, "note", f"{missing}: torchvision's heads run instead", "; ".join(lines))


def _installed(package: str) -> str:
    """Version and, where pip took it from a repository, revision."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:  # on the path without an installer
        return "there, of a version that cannot be told"
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    revision = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{found.version} {revision}".strip()


def _data() -> Iterator[Finding]:
    root = os.environ.get("KDZOO_DATA")
    if not root:
        hint = "set it to the folder that holds imagenet/, cifar10/, cifar100/; digits is embedded and needs nothing"
        yield Finding("KDZOO_DATA", "note", "not set", hint)
        return
    folder = Path(root).expanduser()
    if not folder.is_dir():
        yield Finding("KDZOO_DATA", "problem", f"{folder} is not a folder", "correct or unset KDZOO_DATA")
        return
    there = [name for name in _DATA_NAMES if (folder / name).is_dir()]
    missing = [name for name in _DATA_NAMES if name not in there]
    found = f"{folder}: {', '.join(there) or 'none of the known data sets'}"
    yield Finding("KDZOO_DATA", "ok" if there else "note", found, f"not there: {', '.join(missing)}" if missing else "")


def hub_cache() -> Path:
    """Where the Hugging Face Hub's client keeps what it has fetched, by its documented variables."""
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if own:
        return Path(os.path.expandvars(own)).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def _hub_cache() -> Iterator[Finding]:
    cache = hub_cache()
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield Finding("Hub", "note", "HF_HUB_OFFLINE is set: only weights already in the cache can be used")
    if not cache.is_dir():
        yield Finding("Hub cache", "note", f"{cache} is not there yet", "the first pretrained weights make it")
        return
    models = sum(1 for entry in cache.iterdir() if entry.name.startswith("models--"))
    writable = os.access(cache, os.W_OK)
    hint = "" if writable else "set HF_HOME to a folder that you may write"
    yield Finding("Hub cache", "ok" if writable else "problem", f"{cache}: {models} models", hint)


def _space() -> Iterator[Finding]:
    for name, path in (("space here", Path.cwd()), ("space for weights", _existing(hub_cache()))):
        free = shutil.disk_usage(path).free
        status: Status = "ok" if free >= _LITTLE_SPACE else "note"
        yield Finding(name, status, f"{free / _GIB:.0f} GiB free at {path}", "" if status == "ok" else "runs need room")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _writable() -> Iterator[Finding]:
    for name, folder in (("this folder", Path.cwd()), ("temporary folder", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"kdzoo")
            yield Finding(name, "ok", f"{folder} can be written")
        except OSError as error:
            yield Finding(name, "problem", f"{folder}: {error.strerror}", "work in a folder that you may write")
