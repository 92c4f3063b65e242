"""Which of the ResNets that detectron2 and mmsegmentation have a network of timm's is.

The -D form (T. He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019) has three
3x3 convolutions in its stem and an average pool before the 1x1 convolution of its strided shortcuts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

DEPTHS: dict[tuple[type[nn.Module], tuple[int, ...]], int] = {
    (BasicBlock, (2, 2, 2, 2)): 18,
    (BasicBlock, (3, 4, 6, 3)): 34,
    (Bottleneck, (3, 4, 6, 3)): 50,
    (Bottleneck, (3, 4, 23, 3)): 101,
    (Bottleneck, (3, 8, 36, 3)): 152,
}
"""Depth of blocks a stage, as detectron2's MODEL.RESNETS.DEPTH and mmsegmentation's ``depth``."""


@dataclass(frozen=True)
class ResnetForm:
    """What a framework has to build.

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
        """Whether it is the form of the paper, which every framework has."""
        return not self.stem and not self.pooled_shortcuts


def resnet_form(model: nn.Module) -> ResnetForm | None:
    """Which of the frameworks' ResNets a network is, its -D form included; None where it is none of them."""
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
    form = ResnetForm(depth, stem, pooled.pop())
    return None if form.pooled_shortcuts and not stem else form


def _is_standard(block: Any, first: bool, bottleneck: bool) -> bool:
    """Whether a block has what theirs has and no more: no attention, groups, dilation, blur, other activation."""
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
