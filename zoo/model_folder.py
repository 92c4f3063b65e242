"""Reading a model folder in timm's layout: what config.json says, checked before anything is built from it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg, is_model

from ..base.errors import ModelError
from . import networks  # noqa: F401 (registers kdzoo's own names)
from .architecture_arguments import MAX_CLASSES, checked_arguments
from .json_file import read_json
from .preprocessing import Preprocessing, preprocessing_from_timm
from .weight_index import weight_pieces
from .weights_digest import KEY, recorded_digest

_AGAIN = "use a model from a source that you know"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model folder's config.json says.

    Attributes:
        architecture: timm's name.
        num_classes: Outputs of the stored weights.
        model_args: Arguments of the architecture, the class count apart.
        pretrained_cfg: What timm is told of the weights.
        preprocessing: At the size the weights were trained and evaluated at.
        class_names: In the order of the outputs; empty where unknown.
        licence: As stated, or None.
        provenance: kdzoo's block, the digest apart; empty for others.
        digest: SHA-256 of the weights file, where kdzoo wrote it down.
        promised_top1: Percent, from kdzoo's block, or None.
        promised_on: Name of the data of the promise.
        notes: What the preprocessing cannot express.
    """

    architecture: str
    num_classes: int
    model_args: dict[str, Any]
    pretrained_cfg: dict[str, Any]
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    licence: str | None
    provenance: Mapping[str, Any]
    digest: str | None
    promised_top1: float | None
    promised_on: str | None
    notes: tuple[str, ...]


def read_model_config(path: Path) -> ModelConfig:
    """Read a model folder's config.json.

    Raises:
        ModelError: It is not one that timm could read, or it says what a published model has no say in.
        UsageError: It is not an ordinary file.
    """
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise ModelError(f"{path} names no architecture", hint="it is not the config.json of a model in timm's layout")
    architecture = known_architecture(config["architecture"], path)
    record = config.get("pretrained_cfg", config)
    if not isinstance(record, dict):
        raise ModelError(f"{path} has a pretrained_cfg that is not an object", hint="get the folder again")
    arguments = config.get("model_args") or {}
    checked = checked_arguments(arguments, path)
    if arguments.get("in_chans", 3) not in (1, 3):
        raise ModelError(
            f"{path} is a model of {arguments['in_chans']} channels", hint="kdzoo gives RGB or grey images"
        )
    num_classes = checked_classes(
        arguments.get("num_classes", config.get("num_classes", record.get("num_classes"))), path
    )
    try:
        preprocessing, notes = preprocessing_from_timm(record, str(path))
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"{path} has preprocessing that makes no sense ({error})", hint="get the folder again"
        ) from error
    own, shown = get_pretrained_cfg(architecture), len(preprocessing.mean)
    takes = (
        {arguments["in_chans"]} if "in_chans" in arguments else {1, own.input_size[0]} if own is not None else {shown}
    )
    if shown not in takes:
        raise ModelError(
            f"{path} has preprocessing of {shown} channels, {architecture} takes {max(takes)}",
            hint="get the folder again",
        )
    provenance = config.get("kdzoo")
    provenance = dict(provenance) if isinstance(provenance, dict) else {}
    provenance.pop(KEY, None)
    top1, data = provenance.get("top1"), provenance.get("data")
    data = data.get("name") if isinstance(data, dict) else data
    if isinstance(top1, bool) or not isinstance(top1, int | float) or not (math.isfinite(top1) and 0 <= top1 <= 100):
        top1 = None
    licence = record.get("license")
    return ModelConfig(
        architecture=architecture,
        num_classes=num_classes,
        model_args=checked,
        pretrained_cfg=_pretrained_cfg(record, checked, preprocessing, num_classes),
        preprocessing=preprocessing,
        class_names=_class_names(config.get("label_names", record.get("label_names")), num_classes),
        licence=licence if isinstance(licence, str) else None,
        provenance=provenance,
        digest=recorded_digest(config),
        promised_top1=None if top1 is None else float(top1),
        promised_on=data if top1 is not None and isinstance(data, str) else None,
        notes=notes,
    )


def known_architecture(name: str, path: Path) -> str:
    """An architecture's name from a file, where timm or kdzoo has it.

    Raises:
        ModelError: Neither has.
    """
    if not re.fullmatch(r"[\w.-]{1,200}", name, re.ASCII) or not is_model(name):
        raise ModelError(
            f"{path} names the architecture {name[:100]!a}, which neither timm {timm.__version__} nor kdzoo has",
            hint="update timm, or check the name",
        )
    return name


def checked_classes(count: Any, path: Path) -> int:
    """A class count from a file; 0 is a backbone without a head.

    Raises:
        ModelError: It is none.
    """
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_CLASSES:
        raise ModelError(
            f"{path} has no usable num_classes", hint=f"a whole number from 0 (no head) to {MAX_CLASSES} is needed"
        )
    return count


def _pretrained_cfg(
    record: Mapping[str, Any], arguments: Mapping[str, Any], look: Preprocessing, num_classes: int
) -> dict[str, Any]:
    """What timm is told of the weights: the fields that shape the network and its preprocessing, and no others.

    A record may name files, addresses and tensors to load; these never reach timm.
    """
    fixed = record.get("fixed_input_size") is True
    if arguments.get("dynamic_img_size") or arguments.get("strict_img_size") is False:
        fixed = False  # as timm repairs older records
    height, width = (record.get("input_size") or look.input_size)[1:]
    size = arguments.get("img_size")
    if fixed and size is not None:
        height, width = (size, size) if isinstance(size, int) else tuple(size)
    allowed: dict[str, Any] = {
        "input_size": (len(look.mean), height, width),
        "fixed_input_size": fixed,
        "interpolation": look.interpolation,
        "crop_pct": look.crop_pct,
        "mean": look.mean,
        "std": look.std,
        "num_classes": num_classes,
    }
    for key in ("first_conv", "classifier"):
        names = record.get(key)
        listed = [names] if isinstance(names, str) else names if isinstance(names, list) else []
        if listed and len(listed) <= 8 and all(isinstance(n, str) and re.fullmatch(r"[\w.]{1,100}", n) for n in listed):
            allowed[key] = names if isinstance(names, str) else tuple(listed)
    pool = record.get("pool_size")
    if isinstance(pool, list) and len(pool) == 2 and all(isinstance(side, int) and 0 < side < 2**12 for side in pool):
        allowed["pool_size"] = tuple(pool)
    return allowed


def refuse_oversized(config: Path, weights: Path, *, only_counted: bool = False) -> None:
    """Refuse a config.json that names a larger network than its weights file could fill, before memory is taken for it.

    Args:
        config: The file.
        weights: A whole weights file, or the index of one in pieces.
        only_counted: Leave it to the caller to say why a network cannot be built.

    Raises:
        ModelError: It does, or cannot be built at all.
    """
    read = read_model_config(config)
    try:
        with torch.device("meta"):
            model = timm.create_model(
                read.architecture, pretrained=False, num_classes=read.num_classes, **read.model_args
            )
        params = sum(tensor.numel() for tensor in model.state_dict().values())
    except Exception as error:  # timm checks arguments by assertion and by failing
        if only_counted:
            return
        line = "".join(c for c in (str(error) or type(error).__name__).splitlines()[0][:200] if c.isprintable())
        raise ModelError(f"{config} describes a network that cannot be built: {line}", hint=_AGAIN) from error
    size = sum(path.stat().st_size for path in weight_pieces(weights))
    if params > size:
        raise ModelError(
            f"{config} describes a network of {params} parameters, and {weights.name} has {size} bytes",
            hint=_AGAIN,
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
