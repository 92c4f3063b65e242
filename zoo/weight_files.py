"""Reading weights files written by others, the one place that does: data alone, and never code.

A file is safetensors, or torch's format with ``weights_only=True``; it may be in pieces with an index beside them.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..base.errors import ModelError
from ..base.regular_files import refuse_special
from .inert_numpy import INERT_NUMPY
from .json_file import read_json
from .weight_index import INDEX_SUFFIX, shard_names

RESAVE = "save the weights alone with torch.save(model.state_dict(), path), or as safetensors"

# Where training scripts put the weights in their checkpoints; an average comes before the raw weights, as in timm.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model_state", "model", "net")
_MAX_DEPTH = 3
_SHOWN = 3


@dataclass(frozen=True)
class State:
    """Named tensors as a file holds them.

    Attributes:
        place: Where in the file, such as ``model_ema``; empty for the file itself.
        tensors: By the file's names.
    """

    place: str
    tensors: dict[str, Tensor]

    @property
    def is_usual(self) -> bool:
        """Whether training scripts keep the model itself there, so that it is meant before all else in the file."""
        return self.place in ("", *_NESTED)


def read_states(path: Path) -> list[State]:
    """Every set of named tensors in a weights file, those first that training scripts mean by the model.

    Args:
        path: A ``.safetensors`` file, one in torch's format, or the index of either in pieces (``….index.json``).

    Raises:
        ModelError: The file is missing or damaged, holds more than data, or holds no weights.
        UsageError: It is not an ordinary file.
    """
    content = _read_shards(path) if path.name.endswith(INDEX_SUFFIX) else _read_one(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__} and not named weights", hint=RESAVE)
    states = list(_states("", content, 0))
    if not states:
        names = ", ".join(map(shown_name, list(map(str, content))[:_SHOWN])) or "nothing"
        raise ModelError(f"{path} holds no weights: what it has is {names}", hint=RESAVE)
    return states


def _states(place: str, content: Mapping[Any, Any], depth: int) -> Iterator[State]:
    def inner(keys: Iterable[Any]) -> Iterator[State]:
        for key in keys:
            if isinstance(content[key], Mapping) and depth < _MAX_DEPTH:
                yield from _states(f"{place}.{shown_name(str(key))}".removeprefix("."), content[key], depth + 1)

    yield from inner(key for key in _NESTED if key in content)
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield State(place, tensors)
    yield from inner(key for key in content if key not in _NESTED)


def _read_one(path: Path) -> Any:
    refuse_special(path, what="the weights file")
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_shards(index: Path) -> dict[str, Tensor]:
    names = shard_names(index)
    missing = [name for name in names if not (index.parent / name).exists()]
    if missing:
        raise ModelError(
            f"{index} names {len(names)} files, and {', '.join(missing[:_SHOWN])} of them "
            f"{'is' if len(missing) == 1 else 'are'} not beside it",
            hint="get the missing files, or the folder again",
        )
    tensors: dict[str, Tensor] = {}
    for name in names:
        content = _read_one(index.parent / name)
        if not isinstance(content, Mapping):
            raise ModelError(f"{index.parent / name} holds no named weights", hint="get the folder again")
        tensors |= {key: value for key, value in content.items() if isinstance(value, Tensor)}
    promised = set(read_json(index)["weight_map"])
    if promised != tensors.keys():
        odd = sorted(promised ^ tensors.keys())
        raise ModelError(
            f"{index} and its files do not hold the same weights: {len(odd)} differ ({shown_name(odd[0])})",
            hint="the files belong to different models, or one is damaged: get the folder again",
        )
    return tensors


def shown_name(name: str) -> str:
    """A tensor's name as it may stand in a message, whatever a file calls it."""
    return name if name.isprintable() and len(name) <= 120 else ascii(name[:120])


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(f"{path} is damaged or not a safetensors file ({error})", hint="get the file again") from error


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
        raise ModelError(f"{path} is compressed, as torch writes no file: it is not unfolded", hint=RESAVE)


def _read_torch(path: Path) -> Any:
    _refuse_compressed(path)
    try:
        # timm's checkpoints hold their arguments, others numpy's numbers
        with torch.serialization.safe_globals([argparse.Namespace, *INERT_NUMPY]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        try:
            unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        except Exception:
            unsafe = []
        if unsafe:
            names = ", ".join(map(shown_name, sorted(unsafe)[:_SHOWN]))
            raise ModelError(
                f"{path} holds more than weights ({names}), and no code in it is run",
                hint=RESAVE,
            ) from error
        raise ModelError(f"{path} is damaged or not a torch weights file", hint="get the file again") from error
