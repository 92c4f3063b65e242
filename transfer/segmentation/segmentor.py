"""What an engine makes of a backbone: a segmentor that one loop trains and one metric judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...zoo import LoadedModel, Preprocessing
from ..backbone import Backbone, build_backbone
from ..dense.engines import DenseNetwork, Engine
from ..dilation import changes_when_dilated
from .settings import SegmentationSettings

_BRANCHED = "HighResolutionNet"


@dataclass(frozen=True, kw_only=True)
class Segmentor(DenseNetwork):
    """A segmentor.

    Attributes:
        preprocessing: How images become inputs.
        losses: Named losses of normalised images (B, 3, H, W) and labels (B, H, W), int64, in training mode.
        logits: Of normalised images (B, 3, H, W): (B, C, H, W), in evaluation mode.
        multiple: Input height and width must be multiples of this, pixels: 32 for an HRNet, whose branches are added.
    """

    preprocessing: Preprocessing
    losses: Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]]
    logits: Callable[[nn.Module, Tensor], Tensor]
    multiple: int = 1


SegmentationEngine = Engine[SegmentationSettings, Segmentor]


@dataclass(frozen=True)
class DenseBackbone:
    """A backbone as the heads take it.

    Attributes:
        body: Gives four maps, finest first.
        branched: Whether they are the branches of an HRNet, which the heads take together.
        unused: Weights of the classifier that are not in it.
        notes: How it was built.
        fixed: See `DenseNetwork`.
    """

    body: Backbone
    branched: bool
    unused: tuple[str, ...]
    notes: tuple[str, ...]
    fixed: Mapping[str, str]

    @property
    def multiple(self) -> int:
        """Input height and width must be multiples of this, pixels."""
        return 32 if self.branched else 1


def dense_backbone(loaded: LoadedModel, settings: SegmentationSettings) -> DenseBackbone:
    """The backbone of a segmentor: dilated to the output stride, or an HRNet's four branches.

    Raises:
        ModelError: It has no maps at strides 4 to 32, or cannot be dilated.
    """
    branched = type(loaded.model).__name__ == _BRANCHED
    dropped = _to_branches(loaded) if branched else ()
    stride = 32 if branched else settings.output_stride
    fixed = {"dilation": "mmsegmentation's"} if stride < 32 and changes_when_dilated(loaded.model) else {}
    body = build_backbone(
        loaded,
        output_stride=stride,
        batchnorm="train" if settings.batchnorm == "train" else "frozen",
        frozen_stages=settings.frozen_stages,
    )
    widths = ", ".join(f"{level.channels} at stride {level.stride}" for level in body.levels)
    kind = "the branches before the classifier's layers" if branched else f"output stride {settings.output_stride}"
    notes = (f"backbone maps: {widths} ({kind})",)
    return DenseBackbone(body, branched, (*body.unused, *dropped), notes, fixed)


def _to_branches(loaded: LoadedModel) -> tuple[str, ...]:
    """Take an HRNet's widening layers off, as HRNetV2 for segmentation has none; the names of their weights."""
    network: Any = loaded.model
    info = network.feature_info
    widths = network.stage4_cfg["num_channels"]
    names = tuple(f"incre_modules.{name}" for name in network.incre_modules.state_dict())
    names += tuple(f"downsamp_modules.{name}" for name in network.downsamp_modules.state_dict())
    network.incre_modules = None
    network.downsamp_modules = None
    network.feature_info = [
        entry if number == 0 else {**entry, "num_chs": widths[number - 1]} for number, entry in enumerate(info)
    ]
    return names
