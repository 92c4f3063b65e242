"""The engine that is always there: torchvision's RetinaNet and Faster R-CNN heads over any backbone.

What differs from detectron2: RetinaNet's losses are normalised by the positive anchors of each image, not by a running
mean over batches; Faster R-CNN's box losses are smooth L1 with beta 1/9, not plain L1; anchors are rounded to whole
pixels; RoI pooling samples 2x2 points a bin and has not the half-pixel shift.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from ...data.detection import BoxBatch
from ...zoo import LoadedModel, seeded
from ..backbone import Backbone, build_backbone
from .detector import Detections, Detector, to_original
from .settings import DetectionSettings

STAGES = {"retinanet": (2, 3, 4), "faster_rcnn": (1, 2, 3, 4)}
"""The backbone stages that each detector's pyramid is built on: P3 to P5, and P2 to P5."""

_ANCHOR_SIZES = (32, 64, 128, 256, 512)  # detectron2 configs/Base-RetinaNet.yaml, Base-RCNN-FPN.yaml: ANCHOR_GENERATOR
_ASPECT_RATIOS = (0.5, 1.0, 2.0)  # detectron2 config/defaults.py MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS


class PyramidBackbone(nn.Module):
    """A backbone and its feature pyramid, in the form that torchvision's detectors take.

    Args:
        body: The backbone.
        channels: Of every level.
        extra: The coarser levels: RetinaNet's P6 and P7 from the last map, or Faster R-CNN's pooled P6.
    """

    def __init__(self, body: Backbone, channels: int, extra: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork([level.channels for level in body.levels], channels, extra_blocks=extra)
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Normalised images (B, 3, H, W) to the pyramid's levels, finest first."""
        maps = self.body(images)
        return self.fpn(OrderedDict((str(index), feature) for index, feature in enumerate(maps)))


class _Normalise(GeneralizedRCNNTransform):
    """Normalises and pads; the images come in the size that they are shown in."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> Any:
        return image, target


class TorchvisionEngine:
    """torchvision's heads."""

    name = "torchvision"
    version = torchvision.__version__

    def build(self, loaded: LoadedModel, settings: DetectionSettings, num_classes: int, seed: int) -> Detector:
        """A detector; see `Engine`.

        Raises:
            ModelError: The backbone has no feature maps at the strides that the pyramid needs.
        """
        body = build_backbone(
            loaded,
            stages=STAGES[settings.detector],
            batchnorm="train" if settings.batchnorm == "train" else "frozen",
            frozen_stages=settings.frozen_stages,
        )
        with seeded(seed):
            make = _retinanet if settings.detector == "retinanet" else _faster_rcnn
            model = make(body, settings, num_classes)
        look = loaded.preprocessing
        model.transform = _Normalise(0, 0, list(look.mean), list(look.std), size_divisible=32)
        first = 0 if settings.detector == "retinanet" else 1  # Faster R-CNN's class 0 is the background

        def losses(network: nn.Module, batch: BoxBatch, device: torch.device) -> dict[str, Tensor]:
            targets = [
                {"boxes": boxes.to(device), "labels": labels.to(device) + first}
                for boxes, labels in zip(batch.boxes, batch.labels, strict=True)
            ]
            found = network(_pixels(batch, device), targets)
            return {f"loss_{name.removeprefix('loss_')}": value for name, value in found.items()}

        def predict(network: nn.Module, batch: BoxBatch, device: torch.device) -> list[Detections]:
            answers = network(_pixels(batch, device))
            views = [(image.shape[1], image.shape[2]) for image in batch.images]
            return [
                Detections(
                    to_original(answer["boxes"], view, original).cpu(),
                    answer["scores"].cpu(),
                    answer["labels"].cpu() - first,
                )
                for answer, view, original in zip(answers, views, batch.original_sizes, strict=True)
            ]

        prefix = "backbone.body.network."
        return Detector(
            model=model,
            stage_of={prefix + name: stage for name, stage in body.stage_of.items()},
            unused=body.unused,
            losses=losses,
            predict=predict,
        )


def _pixels(batch: BoxBatch, device: torch.device) -> list[Tensor]:
    return [image.to(device, non_blocking=True).float().div_(255) for image in batch.images]


def _retinanet(body: Backbone, settings: DetectionSettings, num_classes: int) -> nn.Module:
    channels = settings.fpn_channels
    pyramid = PyramidBackbone(body, channels, LastLevelP6P7(body.levels[-1].channels, channels))
    sizes = tuple(tuple(int(size * 2 ** (octave / 3)) for octave in range(3)) for size in _ANCHOR_SIZES)
    anchors = AnchorGenerator(sizes, (_ASPECT_RATIOS,) * len(sizes))
    head = RetinaNetHead(channels, anchors.num_anchors_per_location()[0], num_classes)
    for tower in (head.classification_head, head.regression_head):
        tower.conv = tower.conv[: settings.head_convs]
    return RetinaNet(
        pyramid,
        num_classes,
        anchor_generator=anchors,
        head=head,
        score_thresh=settings.score_threshold,
        nms_thresh=settings.nms_threshold,
        detections_per_img=settings.detections_per_image,
    )


def _faster_rcnn(body: Backbone, settings: DetectionSettings, num_classes: int) -> nn.Module:
    channels, width = settings.fpn_channels, settings.box_head_width
    pyramid = PyramidBackbone(body, channels, LastLevelMaxPool())
    pool = MultiScaleRoIAlign([str(index) for index in range(len(body.levels))], output_size=7, sampling_ratio=2)
    sizes = tuple((size,) for size in _ANCHOR_SIZES)
    return FasterRCNN(
        pyramid,
        rpn_anchor_generator=AnchorGenerator(sizes, (_ASPECT_RATIOS,) * len(sizes)),
        rpn_post_nms_top_n_train=settings.proposals,
        rpn_post_nms_top_n_test=settings.proposals,
        box_roi_pool=pool,
        box_head=TwoMLPHead(channels * 7 * 7, width),
        box_predictor=FastRCNNPredictor(width, num_classes + 1),
        box_batch_size_per_image=settings.rois_per_image,
        box_score_thresh=settings.score_threshold,
        box_nms_thresh=settings.nms_threshold,
        box_detections_per_img=settings.detections_per_image,
    )
