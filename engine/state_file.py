"""A run's state as one safetensors file: tensors as tensors, everything else as JSON in the header.

No pickle is involved, so reading a checkpoint executes nothing; equal states give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..base.errors import CheckpointError

State = dict[str, Any]


def _encode(value: Any, path: str, tensors: dict[str, Tensor], places: set[int]) -> Any:
    if isinstance(value, Tensor):
        # A copy of what shares memory (tied weights): safetensors stores each tensor whole.
        tensor = value.detach().cpu().contiguous()
        tensors[path] = tensor.clone() if tensor.numel() and tensor.data_ptr() in places else tensor
        places.add(tensors[path].data_ptr())
        return {"$tensor": path}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {
                key: _encode(item, f"{path}/{key}" if path else key, tensors, places) for key, item in value.items()
            }
        return {"$items": [[key, _encode(item, f"{path}/{key}", tensors, places)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{path}/{index}", tensors, places) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"state at {path!r} holds a {type(value).__name__}; only tensors and plain values can be saved")


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        if "$items" in value:
            return {key: _decode(item, tensors) for key, item in value["$items"]}
        if "$tuple" in value:
            return tuple(_decode(item, tensors) for item in value["$tuple"])
        return {key: _decode(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    return value


def write_state(path: Path, state: State) -> None:
    """Write a nested state of tensors and plain values (dicts, lists, tuples, numbers, strings, None).

    Raises:
        TypeError: A value of another type.
        OSError: The disk is full or the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    document = _encode(state, "", tensors, set())
    try:
        save_file(tensors, str(path), metadata={"state": json.dumps(document)})
    except SafetensorError as error:  # it wraps the system's error in words
        raise OSError(str(error)) from error


def read_state(path: Path, device: str | torch.device = "cpu") -> State:
    """Read what ``write_state`` wrote.

    Raises:
        CheckpointError: The file is not such a file, or is damaged.
    """
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            document = json.loads((file.metadata() or {})["state"])
            state = _decode(document, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({error})", hint="use another checkpoint of the run"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no run state", hint="use a checkpoint written by kdzoo")
    return state
