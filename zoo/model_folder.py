"""Reading a model folder in timm's layout: what config.json says, checked before anything is built from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .preprocessing import Preprocessing, preprocessing_from_timm

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
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise ModelError(f"{path} names no architecture", hint="it is not the config.json of a model in timm's layout")
    record = config.get("pretrained_cfg", config)
    if not isinstance(record, dict):
        raise ModelError(f"{path} has a pretrained_cfg that is not an object", hint="get the folder again")
    num_classes = config.get("num_classes", record.get("num_classes"))
    if not isinstance(num_classes, int) or num_classes < 0:
        raise ModelError(f"{path} has no usable num_classes", hint="get the folder again")
    arguments = config.get("model_args") or {}
    if not isinstance(arguments, dict):
        raise ModelError(f"{path} has model_args that are not an object", hint="get the folder again")
    if arguments.get("in_chans", 3) != 3:
        raise ModelError(f"{path} is a model of {arguments['in_chans']} channels", hint="kdzoo gives RGB images")
    preprocessing, notes = preprocessing_from_timm(record, str(path))
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
