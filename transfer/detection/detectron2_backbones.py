"""Any network of timm's as a backbone in detectron2's own interface. Imported after `detectron2_import`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import BACKBONE_REGISTRY, FPN
from detectron2.modeling.backbone import Backbone as Detectron2Backbone
from torch import Tensor

from ..backbone import Backbone
from .detectron2_resnet_d import build_pyramid


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


NAME = "build_kdzoo_fpn_backbone"


def _build(cfg: Any, input_shape: Any) -> FPN:
    return build_pyramid(cfg, _given[-1])


_build.__name__ = NAME
if NAME not in BACKBONE_REGISTRY:
    BACKBONE_REGISTRY.register(_build)
