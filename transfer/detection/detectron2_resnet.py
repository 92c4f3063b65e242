"""timm's and torchvision's names of a ResNet's weights as detectron2's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..resnet_form import ResnetForm


def convert_resnet(tensors: Mapping[str, Tensor], form: ResnetForm) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A ResNet's weights under detectron2's names.

    The order of the channels stays RGB: it is INPUT.FORMAT that has to say so.

    Args:
        tensors: In timm's or torchvision's names.
        form: Which network it is.

    Returns:
        The weights of the backbone (``stem.…``, ``res2.…`` to ``res5.…``), and the names that it has no use for.
    """
    converted: dict[str, Tensor] = {}
    unused = []
    for name, tensor in tensors.items():
        target = detectron2_name(name, form)
        if target is not None:
            converted[target] = tensor
        elif not name.endswith("num_batches_tracked"):
            unused.append(name)
    return converted, tuple(unused)


_STEM_CONV = {"0": "conv1", "3": "conv2", "6": "conv3"}
_STEM_NORM = {"1": "conv1", "4": "conv2"}


def detectron2_name(name: str, form: ResnetForm) -> str | None:
    """detectron2's name of a weight; None where its backbone has none such."""
    if name.endswith("num_batches_tracked"):
        return None
    if form.stem:
        match = re.fullmatch(r"conv1\.(\d)\.(\w+)", name)
        if match and match[1] in _STEM_CONV:
            return f"stem.{_STEM_CONV[match[1]]}.{match[2]}"
        if match and match[1] in _STEM_NORM:
            return f"stem.{_STEM_NORM[match[1]]}.norm.{match[2]}"
    elif name.startswith("conv1."):
        return f"stem.{name}"
    if name.startswith("bn1."):
        last = "conv3" if form.stem else "conv1"
        return f"stem.{last}.norm.{name.removeprefix('bn1.')}"
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(\w+)", name)
    if match is None:
        return None
    stage, block, part, number, leaf = match.groups()
    where = f"res{int(stage) + 1}.{block}"
    if part == "conv":
        return f"{where}.conv{number}.{leaf}"
    if part == "bn":
        return f"{where}.conv{number}.norm.{leaf}"
    convolution = "1" if form.pooled_shortcuts else "0"
    return f"{where}.shortcut.{leaf}" if number == convolution else f"{where}.shortcut.norm.{leaf}"
