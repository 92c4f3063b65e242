"""Backbones in detectron2's own interface: -D ResNets and any network of timm's. Imported after `detectron2_import`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from detectron2.layers import CNNBlockBase, Conv2d, ShapeSpec, get_norm
from detectron2.modeling.backbone import BACKBONE_REGISTRY, FPN
from detectron2.modeling.backbone import Backbone as Detectron2Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool, LastLevelP6P7
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional

from ..backbone import Backbone
from .detectron2_resnet import ResnetForm

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class DeepStem(CNNBlockBase):
    """Three 3x3 convolutions, the first strided, and a max-pool: (B, 3, H, W) to (B, C, H / 4, W / 4).

    Args:
        widths: Of the three.
        norm: detectron2's name of the normalisation.
    """

    def __init__(self, widths: tuple[int, ...], norm: str) -> None:
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


def build_resnet(form: ResnetForm, *, norm: str, out_features: list[str], freeze_at: int) -> ResNet:
    """detectron2's ResNet in its -D form."""
    bottleneck = form.depth >= 50
    kind = BottleneckBlock if bottleneck else BasicBlock
    if form.pooled_shortcuts:
        kind = _with_pooled_shortcut(kind)
    stem = DeepStem(form.stem, norm)
    stages = []
    channels, out = form.stem[-1], 256 if bottleneck else 64
    for stage, count in enumerate(_BLOCKS[form.depth]):
        extra = {"bottleneck_channels": out // 4, "stride_in_1x1": False} if bottleneck else {}
        strides = [1 if stage == 0 else 2] + [1] * (count - 1)
        blocks = ResNet.make_stage(
            kind, count, in_channels=channels, out_channels=out, stride_per_block=strides, norm=norm, **extra
        )
        stages.append(blocks)
        channels, out = out, 2 * out
    return ResNet(stem, stages, out_features=out_features, freeze_at=freeze_at)


class TimmBottomUp(Detectron2Backbone):
    """Any backbone of ours as detectron2's bottom-up network: its stages 1 to 4 are res2 to res5.

    Args:
        body: The backbone, already frozen as it shall be.
    """

    def __init__(self, body: Backbone) -> None:
        super().__init__()
        self.body = body
        self._names = [f"res{level.stage + 1}" for level in body.levels]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images to the maps by name."""
        return dict(zip(self._names, self.body(images), strict=True))

    def output_shape(self) -> dict[str, Any]:
        """Channels and stride of each map."""
        return {
            name: ShapeSpec(channels=level.channels, stride=level.stride)
            for name, level in zip(self._names, self.body.levels, strict=True)
        }


_given: list[Any] = []


@contextlib.contextmanager
def bottom_up(network: Any) -> Iterator[None]:
    """While open, detectron2's ``build_model`` with our BACKBONE.NAME puts this network under its pyramid."""
    _given.append(network)
    try:
        yield
    finally:
        _given.pop()


RETINANET_NAME = "build_kdzoo_retinanet_fpn_backbone"
RCNN_NAME = "build_kdzoo_rcnn_fpn_backbone"


def _pyramid(cfg: Any, top: nn.Module) -> FPN:
    return FPN(
        bottom_up=_given[-1],
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=top,
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )


def _retinanet(cfg: Any, input_shape: Any) -> FPN:
    return _pyramid(cfg, LastLevelP6P7(_given[-1].output_shape()["res5"].channels, cfg.MODEL.FPN.OUT_CHANNELS))


def _rcnn(cfg: Any, input_shape: Any) -> FPN:
    return _pyramid(cfg, LastLevelMaxPool())


for _name, _build in ((RETINANET_NAME, _retinanet), (RCNN_NAME, _rcnn)):
    _build.__name__ = _name
    if _name not in BACKBONE_REGISTRY:
        BACKBONE_REGISTRY.register(_build)
