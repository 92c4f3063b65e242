"""The one place that loads weights written by others.

A weights file is data and never code: safetensors, or torch's format with ``weights_only=True``. What is loaded must
fit its network exactly; a file of another architecture is refused by naming what differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import CheckpointError, ModelError

# Where training scripts put the weights in their checkpoints; an average comes before the raw weights, as in timm.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model_state", "model", "net")
_WRAPPERS = ("module.", "_orig_mod.")
_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by their names in the network, on the CPU.

    A checkpoint's weights are taken out of its other contents, and the prefixes of ``nn.DataParallel``,
    DistributedDataParallel and ``torch.compile`` are taken off.

    Raises:
        ModelError: The file is missing or damaged, holds more than data, or holds no weights.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__} and not named weights", hint=_RESAVE)
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path} holds no weights", hint=_RESAVE)
    return strip_wrappers(tensors)


def strip_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the prefixes that wrappers of the whole network add, in any order."""
    named = {name.replace("._orig_mod.", "."): tensor for name, tensor in tensors.items()}
    stripped = True
    while stripped:
        stripped = False
        for prefix in _WRAPPERS:
            if named and all(name.startswith(prefix) for name in named):
                named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
                stripped = True
    return named


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a model that they must fit exactly.

    BatchNorm's batch counters may be missing: files from before torch 0.4.1 have none.

    Raises:
        ModelError: Names are missing or unexpected, or shapes differ; the model is unchanged.
    """
    wanted = model.state_dict()
    given = dict(tensors)
    for name in wanted:
        if name not in given and name.endswith(".num_batches_tracked"):
            given[name] = torch.tensor(0)
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    mismatched = [
        f"{name} {tuple(given[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if missing or unexpected or mismatched:
        parts = [
            f"{len(names)} {what} ({', '.join(map(_shown, names[:_SHOWN]))}{', …' if len(names) > _SHOWN else ''})"
            for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
            if names
        ]
        architecture = (getattr(model, "pretrained_cfg", None) or {}).get("architecture", type(model).__name__)
        raise ModelError(
            f"{source} does not fit {architecture}: {'; '.join(parts)}",
            hint="these are the weights of another architecture, or of the same one with other arguments or classes",
        )
    try:
        model.load_state_dict(given, strict=True)
    except (RuntimeError, NotImplementedError, TypeError) as error:  # sparse, quantised, without values
        raise ModelError(f"{source} holds tensors that are no plain arrays of numbers", hint=_RESAVE) from error


def read_checkpoint_student(path: Path) -> dict[str, Tensor]:
    """The student's weights in a run's checkpoint, after its SHA-256 was checked where it lies beside it.

    Raises:
        CheckpointError: The file is damaged.
        ModelError: It is not a run's checkpoint.
    """
    digest = path.with_suffix(".sha256")
    if digest.is_file():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if digest.read_text(encoding="utf-8").split()[:1] != [found]:
            raise CheckpointError(
                f"{path} is damaged: its SHA-256 does not hold", hint="use another checkpoint of the run"
            )
    prefix = "student/"
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            json.loads((file.metadata() or {})["state"])
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (not a dict)
            tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except KeyError as error:
        raise ModelError(
            f"{path} is not a run's checkpoint", hint=f"for plain weights write ARCHITECTURE={path}"
        ) from error
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error})", hint="use another checkpoint of the run") from error
    if not tensors:
        raise ModelError(f"{path} holds no student", hint="use a checkpoint that kdzoo wrote")
    return strip_wrappers(tensors)


_RESAVE = "save the weights alone with torch.save(model.state_dict(), path), or as safetensors"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(f"{path} is damaged or not a safetensors file ({error})", hint="get the file again") from error


def _shown(name: str) -> str:
    """A tensor's name as it may stand in a message, whatever a file calls it."""
    return name if name.isprintable() and len(name) <= 120 else ascii(name[:120])


def _refuse_compressed(path: Path) -> None:
    """torch never compresses; a compressed archive could unfold to more than the machine has."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ModelError(f"{path} is damaged or not a torch weights file", hint="get the file again") from error
    claimed = sum(member.file_size for member in members)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or claimed > path.stat().st_size:
        raise ModelError(f"{path} is compressed, as torch writes no file: it is not unfolded", hint=_RESAVE)


def _read_torch(path: Path) -> Any:
    _refuse_compressed(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # timm's checkpoints hold their arguments
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        try:
            unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        except Exception:
            unsafe = []
        if unsafe:
            names = ", ".join(map(_shown, sorted(unsafe)[:_SHOWN]))
            raise ModelError(
                f"{path} holds more than weights ({names}), and no code in it is run",
                hint=_RESAVE,
            ) from error
        raise ModelError(f"{path} is damaged or not a torch weights file", hint="get the file again") from error
