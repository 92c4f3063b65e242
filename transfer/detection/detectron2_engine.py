"""The papers' engine: detectron2's own model from its own configuration. Imported lazily only.

detectron2 builds the detector and computes its losses and answers; order of the data, views, optimiser steps and
checkpoints are kdzoo's, so that both engines see the same images and resume alike.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.detection import BoxBatch
from ...zoo import LoadedModel, seeded
from ..backbone import build_backbone
from ..resnet_form import ResnetForm, resnet_form
from .detector import Detections, Detector
from .detectron2_import import detectron2
from .detectron2_resnet import convert_resnet
from .settings import DetectionSettings

_FILES = {"retinanet": "retinanet_R_50_FPN_1x.yaml", "faster_rcnn": "faster_rcnn_R_50_FPN_1x.yaml"}
_STAGES = {"retinanet": (2, 3, 4), "faster_rcnn": (1, 2, 3, 4)}


class Detectron2Engine:
    """detectron2's models."""

    name = "detectron2"
    version = str(detectron2.__version__)

    def build(self, loaded: LoadedModel, settings: DetectionSettings, num_classes: int, seed: int) -> Detector:
        """A detector; see `Engine`.

        A ResNet that detectron2 has (and the -D form of one) becomes its own network with the weights under its own
        names; any other network is put under its pyramid as it is.

        Raises:
            ModelError: The backbone has no feature maps at the strides that the pyramid needs.
        """
        form = resnet_form(loaded.model)
        cfg = make_config(settings, loaded, num_classes, form)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form is None:
                model, stage_of, unused = _over_timm(cfg, loaded, settings, seed)
                note = f"{loaded.architecture} stands under detectron2's pyramid as timm has it"
            else:
                model, stage_of, unused = _over_resnet(cfg, loaded, form, seed)
                kind = "own ResNet" if form.is_plain else "ResNet with a -D stem and shortcuts"
                note = f"{loaded.architecture}'s weights are in detectron2's {kind} of depth {form.depth}, RGB"
        return Detector(
            model=model,
            stage_of=stage_of,
            unused=unused,
            losses=_losses,
            predict=_predict,
            notes=(note,),
            extra_state=(lambda: getattr(model, "loss_normalizer", None), lambda value: _set_normalizer(model, value)),
            documents={"detectron2.yaml": cfg.dump()},
        )


def make_config(settings: DetectionSettings, loaded: LoadedModel, num_classes: int, form: ResnetForm | None) -> Any:
    """detectron2's configuration of the detector with R50-FPN, and in it what the backbone and the settings change."""
    from detectron2.config import get_cfg

    folder = Path(detectron2.__file__).parent / "model_zoo" / "configs" / "COCO-Detection"
    cfg = get_cfg()
    cfg.merge_from_file(str(folder / _FILES[settings.detector]))
    look = loaded.preprocessing
    model, solver, inputs = cfg.MODEL, cfg.SOLVER, cfg.INPUT
    model.DEVICE, model.WEIGHTS = "cpu", ""  # the loop moves it; the weights are put in below
    model.PIXEL_MEAN = [255 * value for value in look.mean]
    model.PIXEL_STD = [255 * value for value in look.std]
    inputs.FORMAT = "RGB"
    model.RESNETS.STRIDE_IN_1X1 = False  # in timm's and torchvision's networks the 3x3 is strided; MSRA's are others
    model.RESNETS.NORM = "FrozenBN" if settings.batchnorm == "frozen" else "BN"
    if form is not None:
        model.RESNETS.DEPTH = form.depth
        model.RESNETS.RES2_OUT_CHANNELS = 256 if form.depth >= 50 else 64
        if not form.is_plain:
            from .detectron2_resnet_d import register

            model.BACKBONE.NAME = register(form.stem, form.pooled_shortcuts)
    model.BACKBONE.FREEZE_AT = settings.frozen_stages
    model.FPN.OUT_CHANNELS = settings.fpn_channels
    if settings.detector == "retinanet":
        model.RETINANET.NUM_CLASSES, model.RETINANET.NUM_CONVS = num_classes, settings.head_convs
        model.RETINANET.SCORE_THRESH_TEST = settings.score_threshold
        model.RETINANET.NMS_THRESH_TEST = settings.nms_threshold
    else:
        model.ROI_HEADS.NUM_CLASSES = num_classes
        model.ROI_HEADS.SCORE_THRESH_TEST = settings.score_threshold
        model.ROI_HEADS.NMS_THRESH_TEST = settings.nms_threshold
        model.RPN.POST_NMS_TOPK_TRAIN = settings.proposals
        model.ROI_HEADS.BATCH_SIZE_PER_IMAGE = settings.rois_per_image
        model.ROI_BOX_HEAD.FC_DIM = settings.box_head_width
    cfg.TEST.DETECTIONS_PER_IMAGE = settings.detections_per_image
    solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER = settings.batch_size, settings.lr, settings.iterations
    solver.STEPS, solver.GAMMA = settings.milestones, settings.gamma
    solver.WARMUP_ITERS, solver.WARMUP_FACTOR = settings.warmup_iterations, settings.warmup_factor
    solver.MOMENTUM, solver.WEIGHT_DECAY = settings.momentum, settings.weight_decay
    solver.WEIGHT_DECAY_NORM = settings.weight_decay_norm
    inputs.MIN_SIZE_TRAIN, inputs.MAX_SIZE_TRAIN = settings.short_sides, settings.max_side
    inputs.MIN_SIZE_TEST, inputs.MAX_SIZE_TEST = settings.test_short_side, settings.test_max_side
    return cfg


def _over_resnet(
    cfg: Any, loaded: LoadedModel, form: ResnetForm, seed: int
) -> tuple[nn.Module, dict[str, int], tuple[str, ...]]:
    from detectron2.modeling import build_model

    with seeded(seed):
        model = build_model(cfg)
    converted, unused = convert_resnet(loaded.model.state_dict(), form)
    load_exactly(model.backbone.bottom_up, converted)
    prefix = "backbone.bottom_up."
    stage_of = {}
    for name, parameter in model.named_parameters():
        if name.startswith(prefix) and parameter.requires_grad:
            part = name.removeprefix(prefix).partition(".")[0]
            stage_of[name] = 0 if part == "stem" else int(part.removeprefix("res")) - 1
    return model, stage_of, unused


def load_exactly(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put weights into detectron2's network: every one of them, and into every tensor of it."""
    own = network.state_dict()
    kept = {name for name in own if name.endswith("num_batches_tracked")}
    missing, extra = sorted(set(own) - kept - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise RuntimeError(f"the converter left out {missing[:3]} and made up {extra[:3]}")
    network.load_state_dict({**{name: own[name] for name in kept}, **tensors})


def _over_timm(
    cfg: Any, loaded: LoadedModel, settings: DetectionSettings, seed: int
) -> tuple[nn.Module, dict[str, int], tuple[str, ...]]:
    from detectron2.modeling import build_model

    from .detectron2_backbones import NAME, TimmBottomUp, bottom_up

    body = build_backbone(
        loaded,
        stages=_STAGES[settings.detector],
        batchnorm="train" if settings.batchnorm == "train" else "frozen",
        frozen_stages=settings.frozen_stages,
    )
    cfg.MODEL.BACKBONE.NAME = NAME
    with seeded(seed), bottom_up(TimmBottomUp(body)):
        model = build_model(cfg)
    prefix = "backbone.bottom_up.body.network."
    return model, {prefix + name: stage for name, stage in body.stage_of.items()}, body.unused


def _set_normalizer(model: Any, value: float | None) -> None:
    """RetinaNet's running mean of positive anchors is kept beside its tensors."""
    if value is not None:
        model.loss_normalizer = value


def _losses(network: nn.Module, batch: BoxBatch, device: torch.device) -> dict[str, Tensor]:
    from detectron2.structures import Boxes, Instances
    from detectron2.utils.events import EventStorage

    inputs = []
    for image, boxes, labels in zip(batch.images, batch.boxes, batch.labels, strict=True):
        truth = Instances((image.shape[1], image.shape[2]), gt_boxes=Boxes(boxes), gt_classes=labels)
        inputs.append({"image": image.to(device, non_blocking=True), "instances": truth.to(device)})
    with EventStorage(0), warnings.catch_warnings(), _eager_focal_loss():
        warnings.simplefilter("ignore")
        return dict(network(inputs))


@contextlib.contextmanager
def _eager_focal_loss() -> Iterator[None]:
    """While open, RetinaNet's focal loss is fvcore's function as it is written.

    Its scripted form is another graph from a process's second call on, which rounds otherwise: a run that a new process
    goes on with would not end with the same bytes.
    """
    from detectron2.modeling.meta_arch import retinanet
    from fvcore.nn import sigmoid_focal_loss

    scripted = retinanet.sigmoid_focal_loss_jit
    retinanet.sigmoid_focal_loss_jit = sigmoid_focal_loss
    try:
        yield
    finally:
        retinanet.sigmoid_focal_loss_jit = scripted


def _predict(network: nn.Module, batch: BoxBatch, device: torch.device) -> list[Detections]:
    inputs = [
        {"image": image.to(device, non_blocking=True), "height": height, "width": width}
        for image, (height, width) in zip(batch.images, batch.original_sizes, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = network(inputs)
    found = [answer["instances"].to("cpu") for answer in answers]
    return [Detections(one.pred_boxes.tensor, one.scores, one.pred_classes) for one in found]
