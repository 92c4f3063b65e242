"""Writing a model folder in timm's layout: config.json, model.safetensors, README.md; whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from ..base.errors import ModelError
from ..base.writing import Content, is_leftover, write_folder
from .loaded import LoadedModel
from .readme import render_readme
from .weights import strip_wrappers
from .weights_digest import with_digest

_FILES = {"config.json", "model.safetensors", "README.md"}

# Facts about the architecture that stay true of new weights; everything else in timm's record is about the old ones.
_OF_THE_ARCHITECTURE = ("first_conv", "classifier", "pool_size", "fixed_input_size")


def save_model(
    loaded: LoadedModel, directory: Path | str, *, provenance: Mapping[str, Any], model: nn.Module | None = None
) -> Path:
    """Write a model so that ``timm.create_model("local-dir:DIRECTORY", pretrained=True)`` and ``load_model`` read it.

    The folder is written beside its place, made durable and renamed, so that a kill leaves the old one or the new one.

    Args:
        loaded: What the model is: architecture, arguments, preprocessing, classes.
        directory: The folder to write; an earlier model there is replaced.
        provenance: kdzoo's block of config.json, JSON values: kdzoo_version, recipe, teachers, data, top1, top5,
            num_images, seed, … ``license`` is that of the new weights; the source's is not inherited.
        model: The network whose weights are written (an average of them, say); ``loaded.model`` by default.

    Returns:
        The folder.

    Raises:
        ModelError: The provenance is not JSON, or the place holds something else than a model.
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    directory = Path(directory)
    network = loaded.model if model is None else model
    config = model_config(loaded, network, provenance)
    try:
        _as_text(config)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the record of {directory} is not JSON ({error})", hint="give plain values") from error

    def describe(new: Path) -> str:
        return _as_text(with_digest(config, new.with_name("model.safetensors")))

    return write_model_folder(
        directory,
        {
            "model.safetensors": lambda new: save_file(portable_weights(network), new, metadata={"format": "pt"}),
            "config.json": describe,
            "README.md": render_readme(config, directory.name),
        },
    )


def write_model_folder(directory: Path, files: Mapping[str, Content]) -> Path:
    """Write a model's files as a folder, whole or not at all; an earlier model there is replaced.

    Raises:
        ModelError: The place holds something else than a model.
        RunError: The disk is full or the place cannot be written; nothing half-written stays.
    """
    others = {path.name for path in directory.iterdir()} - _FILES - set(files) if directory.is_dir() else set()
    if others := {name for name in others if not is_leftover(name)}:
        raise ModelError(
            f"{directory} holds other files ({', '.join(sorted(others)[:3])}) and is not replaced",
            hint="choose an empty folder, or one that does not exist",
        )
    return write_folder(directory, files)


def _as_text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def portable_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's state as safetensors stores it: contiguous CPU tensors under the bare network's names.

    Tied tensors are stored once for each name, so that every reader finds them.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in strip_wrappers(model.state_dict()).items()}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
        if storage in seen or not whole:
            tensors[name] = tensor.clone()
        seen.add(storage)
    return tensors


def model_config(loaded: LoadedModel, model: nn.Module, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The content of config.json, in timm's layout with kdzoo's block."""
    look = loaded.preprocessing
    model = getattr(model, "_orig_mod", model)
    source = getattr(model, "pretrained_cfg", None) or {}
    record = {key: source[key] for key in _OF_THE_ARCHITECTURE if key in source}
    if tuple(source.get("input_size", ()))[1:] != look.input_size[1:]:
        record["pool_size"] = None
    record |= {
        "custom_load": False,
        "input_size": list(look.input_size),
        "mean": list(look.mean),
        "std": list(look.std),
        "interpolation": look.interpolation,
        "crop_pct": look.crop_pct,
        "crop_mode": "center",
        "num_classes": loaded.num_classes,
    }
    if isinstance(provenance.get("license"), str):
        record["license"] = provenance["license"]
    config: dict[str, Any] = {
        "architecture": loaded.architecture,
        "num_classes": loaded.num_classes,
        "num_features": getattr(model, "num_features", None),
    }
    if loaded.class_names:
        config["label_names"] = list(loaded.class_names)
    if loaded.model_args:
        config["model_args"] = dict(loaded.model_args)
    return {**config, "pretrained_cfg": record, "kdzoo": dict(provenance)}
