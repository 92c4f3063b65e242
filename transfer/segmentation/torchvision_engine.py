"""The engine that is always there: torchvision's FCN head and its ASPP under a DeepLabV3+ decoder.

What differs from mmsegmentation: FCN's head is one 3x3 convolution a quarter as wide as the backbone's last map, not
two with a shortcut; ASPP's and the decoder's convolutions are ordinary, not depthwise separable, and ASPP has
torchvision's dropout of 0.5. The losses are the same: summed cross-entropy over the number of all pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.models.segmentation.fcn import FCNHead

from ...base.errors import UsageError
from ...data.segmentation import IGNORED
from ...zoo import LoadedModel, seeded
from ..backbone import Backbone
from .segmentor import Segmentor, dense_backbone
from .settings import SegmentationSettings

_ATROUS_RATES = (12, 24, 36)  # mmsegmentation models/deeplabv3plus_r50-d8.py dilations, for an output stride of 8
_DROPOUT = 0.1  # mmsegmentation models/fcn_r50-d8.py dropout_ratio


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


class LastMapHead(nn.Module):
    """FCN over the coarsest map (J. Long et al., CVPR 2015), as torchvision has it."""

    def __init__(self, channels: list[int], num_classes: int) -> None:
        super().__init__()
        self.layers = FCNHead(channels[-1], num_classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits at the coarsest map's size."""
        return self.layers(maps[-1])


class AllMapsHead(nn.Module):
    """HRNetV2's head (J. Wang et al., TPAMI 2020): all branches at the finest size, then 1x1 convolutions."""

    def __init__(self, channels: list[int], num_classes: int) -> None:
        super().__init__()
        width = sum(channels)
        self.layers = nn.Sequential(*_convolution(width, width, 1), nn.Conv2d(width, num_classes, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits at the finest map's size."""
        return self.layers(torch.cat([_resize(one, maps[0].shape[2:]) for one in maps], dim=1))


class DeepLabV3PlusHead(nn.Module):
    """DeepLabV3+ (L.-C. Chen et al., ECCV 2018): ASPP over the coarsest map, refined by the finest."""

    def __init__(self, channels: list[int], num_classes: int, width: int, low: int, scale: float) -> None:
        super().__init__()
        rates = [max(1, round(rate * scale)) for rate in _ATROUS_RATES]
        self.aspp = ASPP(channels[-1], rates, width)
        self.low = nn.Sequential(*_convolution(channels[0], low, 1))
        self.layers = nn.Sequential(
            *_convolution(width + low, width, 3),
            *_convolution(width, width, 3),
            nn.Dropout2d(_DROPOUT),
            nn.Conv2d(width, num_classes, 1),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits at the finest map's size."""
        coarse = _resize(self.aspp(maps[-1]), maps[0].shape[2:])
        return self.layers(torch.cat([coarse, self.low(maps[0])], dim=1))


class TorchvisionSegmentor(nn.Module):
    """A backbone, a head, and in training an auxiliary head on the map before the last."""

    def __init__(self, backbone: Backbone, head: nn.Module, auxiliary: nn.Module | None) -> None:
        super().__init__()
        self.backbone, self.head, self.auxiliary = backbone, head, auxiliary

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits by head, each at its own size."""
        maps = self.backbone(images)
        found = {"decode": self.head(maps)}
        if self.auxiliary is not None and self.training:
            found["aux"] = self.auxiliary(maps[-2])
        return found


class TorchvisionEngine:
    """torchvision's heads."""

    name = "torchvision"
    version = torchvision.__version__

    def build(self, loaded: LoadedModel, settings: SegmentationSettings, num_classes: int, seed: int) -> Segmentor:
        """A segmentor; see `Engine`.

        Raises:
            UsageError: The head is mmsegmentation's only.
            ModelError: The backbone does not have the maps that the head needs.
        """
        if settings.head == "ocrnet":
            raise UsageError("OCRNet is mmsegmentation's only", hint="--head fcn or deeplabv3plus, or install mmseg")
        dense = dense_backbone(loaded, settings)
        body = dense.body
        channels = [level.channels for level in body.levels]
        head: nn.Module
        auxiliary: nn.Module | None = None
        with seeded(seed):
            if settings.head == "deeplabv3plus":
                scale = 8 / body.levels[-1].stride
                head = DeepLabV3PlusHead(channels, num_classes, settings.channels, settings.low_channels, scale)
            else:
                head = (AllMapsHead if dense.branched else LastMapHead)(channels, num_classes)
            if not dense.branched and settings.aux_weight > 0:
                auxiliary = FCNHead(channels[-2], num_classes)
        weights = torch.tensor(settings.class_weights) if settings.class_weights else None
        share = {"decode": 1.0, "aux": settings.aux_weight}

        def losses(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            found: dict[str, Tensor] = network(images)
            return {
                f"{name}.loss_ce": share[name] * pixel_loss(_resize(logits, labels.shape[1:]), labels, weights)
                for name, logits in found.items()
            }

        def logits(network: nn.Module, images: Tensor) -> Tensor:
            found: dict[str, Any] = network(images)
            return _resize(found["decode"], images.shape[2:])

        return Segmentor(
            model=TorchvisionSegmentor(body, head, auxiliary),
            stage_of={f"backbone.network.{name}": stage for name, stage in body.stage_of.items()},
            unused=dense.unused,
            preprocessing=loaded.preprocessing,
            losses=losses,
            logits=logits,
            multiple=dense.multiple,
            notes=dense.notes,
            fixed=dense.fixed,
        )


def pixel_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Cross-entropy as mmsegmentation averages it: over all pixels, or over the labelled ones' class weights.

    Args:
        logits: (B, C, H, W).
        labels: int64, (B, H, W); ignored where `IGNORED`.
        weights: One a class, or None.
    """
    if weights is not None:
        weights = weights.to(logits)
    total = F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED, reduction="sum")
    if weights is None:
        return total / labels.numel()
    return total / weights[labels[labels != IGNORED]].sum().clamp(min=1e-6)
