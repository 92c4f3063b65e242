"""Stored class-conditional generators: a folder with config.json and model.safetensors, without any code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..base.errors import ModelError
from .json_file import read_json
from .networks.conditional_generator import ConditionalGenerator
from .saving import portable_weights, write_model_folder
from .weights import load_weights, read_weights
from .weights_digest import check_digest, recorded_digest, with_digest

FOLDER = "generator"
_KIND = "conditional_generator"
_MAX_ARGUMENT = 2**16
_MAKE = "'kdzoo train --recipe class_gan --data DATA --out RUN' makes one; then name RUN"


def save_generator(generator: ConditionalGenerator, directory: Path | str, provenance: Mapping[str, Any]) -> Path:
    """Write a generator so that ``load_generator`` reads it, whole or not at all.

    Args:
        generator: Its weights and what builds it.
        directory: The folder to write; an earlier generator there is replaced.
        provenance: JSON values: how it was made.

    Raises:
        RunError: The place cannot be written.
    """
    config = {"kind": _KIND, "arguments": generator.arguments(), "kdzoo": dict(provenance)}
    json.dumps(config, allow_nan=False)

    def write(new: Path) -> None:
        save_file(portable_weights(generator), new, metadata={"format": "pt"})

    def describe(new: Path) -> str:
        return json.dumps(with_digest(config, new.with_name("model.safetensors")), indent=2, allow_nan=False) + "\n"

    return write_model_folder(Path(directory), {"model.safetensors": write, "config.json": describe})


def load_generator(place: Path | str, *, num_classes: int | None = None) -> ConditionalGenerator:
    """A stored generator, frozen and in evaluation mode.

    Args:
        place: The run folder that made it, or the generator's own folder.
        num_classes: What it must have.

    Raises:
        ModelError: There is none, it is damaged, or it has another number of classes.
    """
    folder = Path(place).expanduser()
    if (folder / FOLDER).is_dir():
        folder = folder / FOLDER
    if not (folder / "config.json").exists():
        raise ModelError(f"there is no generator in {place}", hint=_MAKE)
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("kind") != _KIND:
        raise ModelError(f"{folder} holds no class-conditional generator", hint=_MAKE)
    generator = _built(config.get("arguments"), folder)
    if num_classes not in (None, generator.num_classes):
        raise ModelError(
            f"the generator in {folder} has {generator.num_classes} classes, the data has {num_classes}",
            hint="train one on this data: kdzoo train --recipe class_gan --data DATA --out RUN",
        )
    check_digest(folder / "model.safetensors", recorded_digest(config))
    load_weights(generator, read_weights(folder / "model.safetensors"), str(folder))
    return generator.eval().requires_grad_(False)


def _built(arguments: Any, folder: Path) -> ConditionalGenerator:
    """The network that a config.json describes, after it was seen that its weights file could fill it."""
    try:
        if not all(isinstance(value, int) and 0 < value <= _MAX_ARGUMENT for value in arguments.values()):
            raise ValueError(f"its arguments are whole numbers from 1 to {_MAX_ARGUMENT}")
        with torch.device("meta"):
            parameters = sum(tensor.numel() for tensor in ConditionalGenerator(**arguments).state_dict().values())
        if parameters > (folder / "model.safetensors").stat().st_size:
            raise ValueError(f"model.safetensors is too small for its {parameters} parameters")
        return ConditionalGenerator(**arguments)
    except (AttributeError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(f"{folder / 'config.json'} describes no generator ({error})", hint=_MAKE) from error
