"""timm's own conversion of older or original names of weights. It reads no file here, and loads nothing."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from timm.models import is_model, model_entrypoint, split_model_name_tag
from torch import Tensor, nn

_CONVERSIONS = (
    "checkpoint_filter_fn",
    "checkpoint_filter_fn_classifier",
    "_filter_fn",
    "_filter_torchvision_pretrained",
)
_RESIZED = ("pos", "rel")  # position embeddings and tables of relative positions, which timm resizes to the network's


def in_timms_names(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights renamed, and their position embeddings resized, as timm does it for the network's family.

    Args:
        model: The network.
        tensors: By the file's names.

    Returns:
        The weights by today's names; None where timm has no conversion, it fails, or it would resample more than
        positions (a patch embedding of another size belongs to another network).
    """
    convert = _conversion((getattr(model, "pretrained_cfg", None) or {}).get("architecture", ""))
    if convert is None or not all(map(_is_plain, tensors.values())):
        return None
    try:
        converted = convert(dict(tensors), model)
    except Exception:  # written for files of the right kind, it fails in any way on others
        return None
    if not isinstance(converted, Mapping) or not all(isinstance(value, Tensor) for value in converted.values()):
        return None
    for name in converted.keys() & tensors.keys():
        if converted[name].numel() != tensors[name].numel() and not any(part in name for part in _RESIZED):
            return None
    return dict(converted)


def _conversion(architecture: str) -> Callable[[dict[str, Tensor], nn.Module], Any] | None:
    name = split_model_name_tag(architecture)[0]
    if not is_model(name):
        return None
    module = importlib.import_module(model_entrypoint(name).__module__)
    convert = next((getattr(module, known) for known in _CONVERSIONS if hasattr(module, known)), None)
    if convert is None:
        return None
    takes = inspect.signature(convert).parameters
    if "adapt_layer_scale" in takes:
        convert = functools.partial(convert, adapt_layer_scale=True)
    if "flexi" in name and "antialias" in takes:  # as timm's entry point asks for it
        convert = functools.partial(convert, interpolation="bilinear", antialias=False)
    return convert if "model" in takes else lambda given, network: convert(given)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds its own values: one that is expanded from a few could unfold to more than the memory."""
    try:
        return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):
        return False
