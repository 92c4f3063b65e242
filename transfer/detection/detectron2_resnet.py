"""timm's and torchvision's ResNets as detectron2's: which of its networks one is, and the names of its weights there.

The -D form (T. He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019) has three
3x3 convolutions in its stem and an average pool before the 1x1 convolution of its strided shortcuts; detectron2 has
neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

DEPTHS: dict[tuple[type[nn.Module], tuple[int, ...]], int] = {
    (BasicBlock, (2, 2, 2, 2)): 18,
    (BasicBlock, (3, 4, 6, 3)): 34,
    (Bottleneck, (3, 4, 6, 3)): 50,
    (Bottleneck, (3, 4, 23, 3)): 101,
    (Bottleneck, (3, 8, 36, 3)): 152,
}
"""detectron2's MODEL.RESNETS.DEPTH of blocks a stage."""


@dataclass(frozen=True)
class ResnetForm:
    """What detectron2 has to build.

    Attributes:
        depth: 18, 34, 50, 101 or 152.
        stem: Widths of the -D form's three convolutions; empty for one 7x7 convolution.
        pooled_shortcuts: Whether strided shortcuts pool before their 1x1 convolution.
    """

    depth: int
    stem: tuple[int, ...]
    pooled_shortcuts: bool

    @property
    def is_plain(self) -> bool:
        """Whether detectron2's own ResNet is it."""
        return not self.stem and not self.pooled_shortcuts


def resnet_form(model: nn.Module) -> ResnetForm | None:
    """Which of detectron2's ResNets a network is, its -D form included; None where it is none of them."""
    if type(model) is not ResNet:
        return None
    stages: list[Any] = [model.layer1, model.layer2, model.layer3, model.layer4]
    blocks = [block for stage in stages for block in stage]
    kinds = {type(block) for block in blocks}
    depth = DEPTHS.get((next(iter(kinds)), tuple(map(len, stages)))) if len(kinds) == 1 else None
    maxpool: Any = model.maxpool
    if depth is None or not isinstance(maxpool, nn.MaxPool2d) or maxpool.kernel_size != 3:
        return None
    first: Any = model.conv1
    if isinstance(first, nn.Sequential):
        stem = tuple(layer.out_channels for layer in first if isinstance(layer, nn.Conv2d))
    else:
        stem = ()
    downs = [block.downsample for block in blocks if block.downsample is not None]
    pooled = {isinstance(down[0], nn.AvgPool2d | nn.Identity) for down in downs}
    bottleneck = Bottleneck in kinds
    plain = all(_is_standard(block, index == 0, bottleneck) for stage in stages for index, block in enumerate(stage))
    widths = tuple(stage[-1].bn3.num_features if bottleneck else stage[-1].bn2.num_features for stage in stages)
    wanted = (256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512)
    shortcut_in_first = stages[0][0].downsample is not None
    if not plain or widths != wanted or len(pooled) != 1 or len(stem) not in (0, 3) or shortcut_in_first != bottleneck:
        return None
    return ResnetForm(depth, stem, pooled.pop())


def _is_standard(block: Any, first: bool, bottleneck: bool) -> bool:
    """Whether a block has what detectron2's has and no more: no attention, groups, dilation, blur, other activation."""
    convs = [block.conv1, block.conv2, *([block.conv3] if bottleneck else [])]
    norms = [block.bn1, block.bn2, *([block.bn3] if bottleneck else [])]
    activations = [module for module in block.modules() if module.__class__.__name__.endswith(("LU", "Swish", "Mish"))]
    return (
        all(type(conv) is nn.Conv2d and conv.groups == 1 and conv.dilation == (1, 1) for conv in convs)
        and all(isinstance(norm, nn.BatchNorm2d) and norm.eps == 1e-5 for norm in norms)
        and (
            not bottleneck
            or (block.conv2.out_channels * 4 == block.conv3.out_channels and block.conv1.stride == (1, 1))
        )
        and getattr(block, "se", None) is None
        and isinstance(getattr(block, "aa", None), nn.Identity | None)
        and all(isinstance(module, nn.ReLU) for module in activations)
        and (first or block.downsample is None)
    )


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
