"""detectron2's ResNet in its -D form under its pyramids, as one of its registered backbones.

It imports detectron2 and torch alone: an exported detector carries a copy of this file, to be imported before its
configuration is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectron2.layers import CNNBlockBase, Conv2d, get_norm
from detectron2.modeling.backbone import BACKBONE_REGISTRY, FPN
from detectron2.modeling.backbone.fpn import LastLevelMaxPool, LastLevelP6P7
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class DeepStem(CNNBlockBase):
    """Three 3x3 convolutions, the first strided, and a max-pool: (B, 3, H, W) to (B, C, H / 4, W / 4).

    Args:
        widths: Of the three.
        norm: detectron2's name of the normalisation.
    """

    def __init__(self, widths: Sequence[int], norm: str) -> None:
        super().__init__(3, widths[-1], 4)
        channels = 3
        for number, width in enumerate(widths, start=1):
            stride = 2 if number == 1 else 1
            layer = Conv2d(channels, width, 3, stride, 1, bias=False, norm=get_norm(norm, width))
            self.add_module(f"conv{number}", layer)
            channels = width

    def forward(self, images: Tensor) -> Tensor:
        """The stem's map."""
        for layer in (self.conv1, self.conv2, self.conv3):
            images = functional.relu_(layer(images))
        return functional.max_pool2d(images, kernel_size=3, stride=2, padding=1)


class PooledShortcut(Conv2d):
    """A 1x1 convolution behind a 2x2 average pool that does not count padding, as in timm's -D networks."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / 2, W / 2), odd sizes rounded up."""
        return super().forward(functional.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False))


def _with_pooled_shortcut(kind: type[nn.Module]) -> type[nn.Module]:
    class Block(kind):  # type: ignore[misc, valid-type]
        """A block whose strided shortcut pools first."""

        shortcut: Any

        def __init__(self, in_channels: int, out_channels: int, *, stride: int, norm: str, **rest: Any) -> None:
            super().__init__(in_channels, out_channels, stride=stride, norm=norm, **rest)
            if self.shortcut is not None and stride > 1:
                self.shortcut = PooledShortcut(
                    in_channels, out_channels, kernel_size=1, bias=False, norm=get_norm(norm, out_channels)
                )

    return Block


def build_resnet(cfg: Any, stem: Sequence[int], pooled_shortcuts: bool) -> ResNet:
    """The network of MODEL.RESNETS and MODEL.BACKBONE.FREEZE_AT.

    Args:
        cfg: detectron2's configuration.
        stem: Widths of its three convolutions.
        pooled_shortcuts: Whether strided shortcuts pool before their 1x1 convolution.
    """
    own = cfg.MODEL.RESNETS
    bottleneck = own.DEPTH >= 50
    kind = BottleneckBlock if bottleneck else BasicBlock
    if pooled_shortcuts:
        kind = _with_pooled_shortcut(kind)
    stages = []
    channels, out = stem[-1], own.RES2_OUT_CHANNELS
    for stage, count in enumerate(_BLOCKS[own.DEPTH]):
        extra = {"bottleneck_channels": out // 4, "stride_in_1x1": False} if bottleneck else {}
        strides = [1 if stage == 0 else 2] + [1] * (count - 1)
        blocks = ResNet.make_stage(
            kind, count, in_channels=channels, out_channels=out, stride_per_block=strides, norm=own.NORM, **extra
        )
        stages.append(blocks)
        channels, out = out, 2 * out
    freeze_at = cfg.MODEL.BACKBONE.FREEZE_AT
    return ResNet(DeepStem(stem, own.NORM), stages, out_features=own.OUT_FEATURES, freeze_at=freeze_at)


def build_pyramid(cfg: Any, network: Any) -> FPN:
    """detectron2's pyramid over a bottom-up network: RetinaNet's with P6 and P7, or Faster R-CNN's."""
    own = cfg.MODEL.FPN
    top: nn.Module = LastLevelMaxPool()
    if cfg.MODEL.META_ARCHITECTURE == "RetinaNet":
        top = LastLevelP6P7(network.output_shape()["res5"].channels, own.OUT_CHANNELS)
    return FPN(
        bottom_up=network,
        in_features=own.IN_FEATURES,
        out_channels=own.OUT_CHANNELS,
        norm=own.NORM,
        top_block=top,
        fuse_type=own.FUSE_TYPE,
    )


def register(stem: Sequence[int], pooled_shortcuts: bool) -> str:
    """Make one form a backbone of detectron2's; returns its MODEL.BACKBONE.NAME."""

    def build(cfg: Any, input_shape: Any) -> FPN:
        return build_pyramid(cfg, build_resnet(cfg, stem, pooled_shortcuts))

    shortcuts = "pooled" if pooled_shortcuts else "strided"
    build.__name__ = f"build_resnet_stem{'_'.join(map(str, stem))}_{shortcuts}_fpn_backbone"
    if build.__name__ not in BACKBONE_REGISTRY:
        BACKBONE_REGISTRY.register(build)
    return build.__name__
