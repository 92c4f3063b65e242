"""Reading a model folder in timm's layout: what config.json says, checked before anything is built from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg, is_model

from ..errors import ModelError
from . import networks  # noqa: F401 (registers kdzoo's own names)
from .preprocessing import Preprocessing, preprocessing_from_timm

_MAX_CONFIG_BYTES = 20 * 2**20
_MAX_NUMBER = 2**16
_AGAIN = "use a model from a source that you know"
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
# Arguments of timm.create_model itself, which read files or make another model; a published model has no say in them.
_REFUSED = ("checkpoint_path", "model_name", "name", "source", "architecture", "scriptable", "exportable", "no_jit")
_NOT_ARGUMENTS = ("num_classes", "in_chans", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model folder's config.json says.

    Attributes:
        architecture: timm's name.
        num_classes: Outputs of the stored weights.
        model_args: Arguments of the architecture, the class count apart.
        preprocessing: At the size the weights were trained and evaluated at.
        class_names: In the order of the outputs; empty where unknown.
        licence: As stated, or None.
        provenance: kdzoo's block; empty for others.
        promised_top1: Percent, from kdzoo's block, or None.
        promised_on: Name of the data of the promise.
        notes: What the preprocessing cannot express.
    """

    architecture: str
    num_classes: int
    model_args: dict[str, Any]
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    licence: str | None
    provenance: Mapping[str, Any]
    promised_top1: float | None
    promised_on: str | None
    notes: tuple[str, ...]


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        ModelError: It is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}", hint="check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON ({error})", hint="get the folder again") from error


def read_model_config(path: Path) -> ModelConfig:
    """Read a model folder's config.json.

    Raises:
        ModelError: It is not one that timm could read, or its values make no sense.
    """
    if path.is_file() and path.stat().st_size > _MAX_CONFIG_BYTES:
        raise ModelError(f"{path} is larger than any config.json of a model", hint="get the folder again")
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise ModelError(f"{path} names no architecture", hint="it is not the config.json of a model in timm's layout")
    record = config.get("pretrained_cfg", config)
    if not isinstance(record, dict):
        raise ModelError(f"{path} has a pretrained_cfg that is not an object", hint="get the folder again")
    num_classes = config.get("num_classes", record.get("num_classes"))
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or not 0 <= num_classes <= 10**6:
        raise ModelError(f"{path} has no usable num_classes", hint="get the folder again")
    arguments = config.get("model_args") or {}
    if not isinstance(arguments, dict):
        raise ModelError(f"{path} has model_args that are not an object", hint="get the folder again")
    if arguments.get("in_chans", 3) != 3:
        raise ModelError(f"{path} is a model of {arguments['in_chans']} channels", hint="kdzoo gives RGB images")
    _refuse_arguments(arguments, path)
    try:
        preprocessing, notes = preprocessing_from_timm(record, str(path))
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"{path} has preprocessing that makes no sense ({error})", hint="get the folder again"
        ) from error
    own = get_pretrained_cfg(config["architecture"]) if is_model(config["architecture"]) else None
    if own is not None and len(preprocessing.mean) != own.input_size[0]:
        raise ModelError(
            f"{path} has preprocessing of {len(preprocessing.mean)} channels, {config['architecture']} takes "
            f"{own.input_size[0]}",
            hint="get the folder again",
        )
    if preprocessing.interpolation not in _INTERPOLATIONS or preprocessing.image_size > _MAX_NUMBER:
        raise ModelError(f"{path} has preprocessing that makes no sense", hint="get the folder again")
    provenance = config.get("kdzoo")
    provenance = provenance if isinstance(provenance, dict) else {}
    top1, data = provenance.get("top1"), provenance.get("data")
    data = data.get("name") if isinstance(data, dict) else data
    if isinstance(top1, bool) or not isinstance(top1, int | float) or not (math.isfinite(top1) and 0 <= top1 <= 100):
        top1 = None
    licence = record.get("license")
    return ModelConfig(
        architecture=config["architecture"],
        num_classes=num_classes,
        model_args={key: value for key, value in arguments.items() if key not in _NOT_ARGUMENTS},
        preprocessing=preprocessing,
        class_names=_class_names(config.get("label_names", record.get("label_names")), num_classes),
        licence=licence if isinstance(licence, str) else None,
        provenance=provenance,
        promised_top1=None if top1 is None else float(top1),
        promised_on=data if top1 is not None and isinstance(data, str) else None,
        notes=notes,
    )


def refuse_oversized(config: Path, weights: Path) -> None:
    """Refuse a config.json that names a larger network than its weights file could fill, before memory is taken for it.

    Raises:
        ModelError: It does, or cannot be built at all.
    """
    read = read_model_config(config)
    if not is_model(read.architecture):  # timm would take some of these for an address
        raise ModelError(
            f"{config} names the architecture {read.architecture[:100]!r}, which neither timm nor kdzoo has",
            hint="update timm, or check the name",
        )
    try:
        with torch.device("meta"):
            model = timm.create_model(
                read.architecture, pretrained=False, num_classes=read.num_classes, **read.model_args
            )
        params = sum(tensor.numel() for tensor in model.state_dict().values())
    except Exception as error:  # timm checks arguments by assertion and by failing
        line = "".join(c for c in (str(error) or type(error).__name__).splitlines()[0][:200] if c.isprintable())
        raise ModelError(f"{config} describes a network that cannot be built: {line}", hint=_AGAIN) from error
    size = weights.stat().st_size
    if params > size:
        raise ModelError(
            f"{config} describes a network of {params} parameters, and {weights.name} has {size} bytes",
            hint=_AGAIN,
        )


def _refuse_arguments(arguments: Mapping[str, Any], path: Path) -> None:
    """Arguments that a published model has no say in, or that only a program that means harm would give."""
    for name, value in arguments.items():
        if name in _REFUSED or not name.isidentifier():
            raise ModelError(f"{path} sets {name!r}, which is no argument of an architecture", hint=_AGAIN)
        _refuse_numbers(name, value, path, depth=0)


def _refuse_numbers(name: str, value: Any, path: Path, depth: int) -> None:
    if isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:
        raise ModelError(f"{path} sets {name!r} to a number beyond any architecture", hint=_AGAIN)
    if isinstance(value, Mapping | list):
        if depth > 8 or len(value) > 1000:
            raise ModelError(f"{path} sets {name!r} to more than any architecture takes", hint=_AGAIN)
        for item in value.values() if isinstance(value, Mapping) else value:
            _refuse_numbers(name, item, path, depth + 1)


def _class_names(names: Any, num_classes: int) -> tuple[str, ...]:
    """timm keeps a list, or an object from output to name where some outputs have none."""
    if isinstance(names, Mapping):
        ordered = [names.get(str(index)) for index in range(num_classes)]
    elif isinstance(names, Sequence) and not isinstance(names, str):
        ordered = list(names)
    else:
        return ()
    known = len(ordered) == num_classes and all(isinstance(name, str) for name in ordered)
    return tuple(str(name) for name in ordered) if known else ()
