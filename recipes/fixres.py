"""FixRes: a trained network's classifier learns the higher resolution at which it is to be tested.

Paper:   Fixing the train-test resolution discrepancy (FixRes), H. Touvron, A. Vedaldi, M. Douze, H. Jégou, 2019,
         arXiv 1906.06423; code: facebookresearch/FixRes
Table:   README: ResNet-50 trained at 224 px (77.0 top-1), tested at 384 px 79.0 top-1, 94.6 top-5; trained with CutMix,
         tested at 320 px 79.7 top-1, 94.9 top-5
Command: kdzoo train --recipe fixres --model runs/student --data imagenet --out runs/fixed
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: hard_label. Images go through the evaluation transform at the test resolution. Of the network only the classifier
learns; the rest is frozen and in eval mode, but for the last BatchNorm, whose running statistics adapt.

Deviations:
    1. Images are resized by their short side; the released transform sets the height, and pads what becomes narrower
       than the crop.
    2. The released weights of the 224 px network are not used: any trained network can be named.
    3. The released second transform (flips, shifted crops, colour jitter; 79.1 top-1) is left out.
    4. The order of the images is kdzoo's own, and an incomplete last batch of an epoch is dropped.

Conflicts:
    1. EfficientNet: the released code means to train the last convolution and its BatchNorm too, but sets the flag on
       modules, where it has no effect; only the classifier learns. Default: the classifier.
    2. The README gives 11 epochs for the CutMix network with the second transform (its starred row, 79.8) and no length
       for the plain row (79.7). Default: the plain ResNet-50's 56; objective and rate are the same.
    3. SSLD uses the idea with everything but the classifier frozen, BatchNorm too: variant classifier_only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..base.errors import UsageError
from ..engine.objective import Objective, ParameterGroup, Phase, StepView
from .blocks import LABELS_ALONE, MIXING_ON_REQUEST, OWN_VALIDATION, PLAIN, UNMIXED
from .objectives.hard_labels import mixed_cross_entropy
from .recipe import ObjectiveSettings, Paper, Shapes
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class FixResSettings(ObjectiveSettings):
    """Cross-entropy with the labels, for the classifier alone.

    Attributes:
        adapt: What else adapts: the running statistics of the ``last_batchnorm``, or ``none``.
    """

    adapt: Literal["last_batchnorm", "none"]

    uses_teachers = False
    uses_labels = True
    needs_trained_student = True

    def build(self, shapes: Shapes) -> Objective:
        return FixRes(self)


class FixRes(Objective):
    """Terms: ``hard_label``."""

    def __init__(self, settings: FixResSettings) -> None:
        super().__init__()
        self.settings = settings

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (classifier_group(student),)),)

    def set_modes(self, student: nn.Module) -> None:
        student.eval()
        if self.settings.adapt == "last_batchnorm":
            norms = [module for module in student.modules() if isinstance(module, _BatchNorm)]
            if norms:
                norms[-1].train()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        logits = step.student().logits
        return {"hard_label": mixed_cross_entropy(logits, step.labels, step.mixed_labels, step.mix_weight)}


def classifier_group(student: nn.Module) -> ParameterGroup:
    """The student's classifier as one group; every other parameter of the student is frozen.

    Raises:
        UsageError: The network does not say which layer its classifier is.
    """
    network: Any = student  # timm's interface is a convention, no type
    classifier = network.get_classifier() if hasattr(student, "get_classifier") else None
    if not isinstance(classifier, nn.Module) or not list(classifier.parameters()):
        raise UsageError(
            f"{type(student).__name__} has no single classifier to fine-tune", hint="use another architecture"
        )
    student.requires_grad_(False)
    classifier.requires_grad_(True)
    return ParameterGroup("classifier", list(classifier.named_parameters()))


RECIPE = from_rows(
    name="fixres",
    summary="Fine-tuning of the classifier alone at the higher resolution of the test.",
    paper=Paper(
        title="Fixing the train-test resolution discrepancy",
        authors="Hugo Touvron, Andrea Vedaldi, Matthijs Douze, Hervé Jégou",
        year=2019,
        url="https://arxiv.org/abs/1906.06423",
        code="facebookresearch/FixRes c9be6ac",
    ),
    reproduces=(
        "README: ResNet-50, 224 px (77.0) to 384 px, 79.0 top-1, 94.6 top-5",
        "README: ResNet-50 with CutMix, 320 px, 79.7 top-1, 94.9 top-5",
    ),
    objective=FixResSettings,
    settings=(
        *LABELS_ALONE,
        OWN_VALIDATION,
        *MIXING_ON_REQUEST,
        *at("code: README", {"student.model": "resnet50", "data.augmentation.image_size": 384, "training.epochs": 56}),
        ("training.batch_size", 512, "code: README, 64 on each of 8 GPUs"),
        ("data.augmentation.crop", "center", "code: imnet_finetune/transforms.py, the test transform"),
        *at(
            "code: imnet_finetune/transforms.py, 256/224",
            {"data.augmentation.crop_pct": 0.875, "data.evaluation.crop_pct": 0.875},
        ),
        *at(
            "code: imnet_finetune/transforms.py",
            PLAIN,
            {
                "data.augmentation.interpolation": "bilinear",
                "data.augmentation.hflip_prob": 0.0,
                "data.evaluation.interpolation": "bilinear",
            },
        ),
        *at("ours: the network's own", {"data.mean": "model", "data.std": "model"}),
        *at(
            "code: imnet_finetune/train.py",
            UNMIXED,
            {
                "student.init": "pretrained",
                "data.dataset": "imagenet",
                "optimizer.name": "sgd",
                "optimizer.momentum": 0.9,
                "optimizer.nesterov": False,
                "optimizer.weight_decay": 1e-4,
                "optimizer.decay_norm_and_bias": True,
                "schedule.milestones": (30,),
                "schedule.gamma": 0.1,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        ("training.precision", "fp32", "code: imnet_finetune/train.py, nothing is cast"),
        ("optimizer.lr", 0.008, "code: imnet_finetune/train.py, 8 · 1e-3 · batch/512"),
        ("schedule.name", "milestones", "code: imnet_finetune/train.py, StepLR(30)"),
        ("objective.adapt", "last_batchnorm", "code: imnet_finetune/train.py, layer4[2].bn3"),
    ),
    students=(
        columns("name", "teachers", "image_size", "initial_top1", "top1", "top5"),
        sources(
            "code: README",
            "ours: labels alone",
            "code: README",
            "timm: results-imagenet.csv",
            "code: README",
            "code: README",
        ),
        student("resnet50", (), 384, 76.16, 79.0, 94.6),
        ("model", "resnet50.tv_in1k", "ours: their own weights are under a non-commercial licence"),
        ("note", "from their own 77.0 at 224 px"),
    ),
    variants=(
        variant(
            "cutmix_320", "the README's network that was trained with CutMix: 320 px; no length is printed for this row"
        ),
        ("data.augmentation.image_size", 320, "code: README"),
        variant("classifier_only", "as SSLD does it: 320 px, every BatchNorm frozen too"),
        ("data.augmentation.image_size", 320, "code: PaddleClas ResNet_and_vd_en.md, Fix_ResNet50_vd_ssld_v2"),
        ("objective.adapt", "none", "code: PaddleClas distillation_en.md"),
    ),
)
