"""DeiT: a transformer's distillation token learns the teacher's decision, its class token the label; both answer.

Paper:   Training data-efficient image transformers & distillation through attention (DeiT), H. Touvron, M. Cord,
         M. Douze, F. Massa, A. Sablayrolles, H. Jégou, ICML 2021, arXiv 2012.12877; code: facebookresearch/deit
Table:   README_deit.md's ImageNet top-1: DeiT-tiny 74.5, DeiT-small 81.2, DeiT-base 83.4, each distilled
Command: kdzoo distill --recipe deit --student deit_tiny_distilled_patch16_224 --teacher regnety_160.deit_in1k
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: 0.5 · hard_label + 0.5 · token. The class head's cross-entropy with the labels, and the distillation head's with
the class that the teacher answers (variant soft: the divergence from its tempered probabilities). In evaluation, and in
the exported model, the answer is the mean of both heads: timm's own forward pass outside this recipe's training. Any
student of timm's with two such heads can be one: DeiT, PiT, LeViT, RepViT, EfficientFormer, ….

Deviations:
    1. No repeated augmentation: an epoch has each image once. ``--set training.views_per_decode=3`` has three views of
       each of its images in a batch.
    2. No stochastic depth (0.1 in the code).
    3. Nothing is cast; the code computes in fp16 where it can (--precision).
    4. One-dimensional parameters alone are left undecayed, in the code position embeddings and tokens too.
    5. The cosine begins after the warm-up and ends with the last epoch; the code's runs below it and ends later.
    6. Several teachers: the decision is that of their mean probabilities.
    7. The order of the images and the views' random numbers are kdzoo's own, and an incomplete last batch of an epoch
       is dropped.

Conflicts:
    1. Soft distillation: the paper has λ = 0.1 and τ = 3 (§5.1), the code's defaults are 0.5 and 1. Default of the
       variant: the paper.
    2. The code divides the divergence by images and classes, Eq. 2 by images alone. Default: the paper.
    3. The code keeps an average of the weights and reports the weights themselves. Default: none is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from ..base.setting_values import Fraction, LabelSmoothing, Temperature
from ..engine.objective import Objective, StepView
from .blocks import IMAGENET_COLOURS, IMAGENET_VIEWS, PLAIN, SAME_VIEW, SMALL_IMAGES, TORCHVISION_CROP
from .objectives.hard_labels import cross_entropy, mixed_cross_entropy
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import Paper, Shapes, TaughtSettings
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class DeitSettings(TaughtSettings):
    """(1 − λ)·CE(class head, labels) + λ·(CE(distillation head, decision), or τ²·KL(teachers‖distillation head)).

    Attributes:
        decision: ``hard``: the class that the teachers answer; ``soft``: their probabilities at temperature τ.
        weight: λ.
        temperature: τ; of use with ``soft``.
        label_smoothing: Of the labels, not of the decision.
    """

    decision: Literal["hard", "soft"]
    weight: Fraction
    temperature: Temperature
    label_smoothing: LabelSmoothing

    uses_labels = True
    needs_distillation_head = True

    def build(self, shapes: Shapes) -> Objective:
        return Deit(self)


class Deit(Objective):
    """Terms: ``hard_label`` and ``token``."""

    reads_maps = "heads"

    def __init__(self, settings: DeitSettings) -> None:
        super().__init__()
        self.settings = settings

    def set_modes(self, student: nn.Module) -> None:
        network: Any = student
        network.set_distilled_training(True)  # both heads' logits in training; in evaluation their mean

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, (of_class, of_token) = self.settings, step.student().maps[-2:]
        hard = mixed_cross_entropy(
            of_class, step.labels, step.mixed_labels, step.mix_weight, settings.label_smoothing, "all_classes"
        )
        soft = settings.decision == "soft"
        answer = mean_probabilities(step.teachers().logits, settings.temperature if soft else 1.0)
        if soft:
            token = tempered_kl(of_token, answer, settings.temperature)
        else:
            token = cross_entropy(of_token, answer.argmax(dim=1))
        return {"hard_label": (1 - settings.weight) * hard, "token": settings.weight * token}


README, TEACHER = "code: README_deit.md", ("regnety_160.deit_in1k",)

RECIPE = from_rows(
    name="deit",
    summary="A transformer's distillation token learns the teacher's decision, its class token the label.",
    paper=Paper(
        title="Training data-efficient image transformers & distillation through attention",
        authors="Hugo Touvron, Matthieu Cord, Matthijs Douze, Francisco Massa, Alexandre Sablayrolles, Hervé Jégou",
        year=2021,
        url="https://arxiv.org/abs/2012.12877",
        code="facebookresearch/deit 0282d2a",
    ),
    reproduces=("README_deit.md, ImageNet top-1 of the distilled models: tiny 74.5, small 81.2, base 83.4",),
    objective=DeitSettings,
    settings=(
        ("student.model", "deit_tiny_distilled_patch16_224", README),
        ("student.init", "random", "code: main.py, pretrained=False"),
        ("teachers.models", TEACHER, "code: README_deit.md, regnety_160"),
        SAME_VIEW,
        ("data.dataset", "imagenet", README),
        ("data.val_dataset", None, "ours: the data set's own validation split"),
        ("data.unlabeled", None, "ours: it reads labels"),
        *at("code: datasets.py, timm's create_transform", IMAGENET_VIEWS, IMAGENET_COLOURS, TORCHVISION_CROP, PLAIN),
        *at(
            "code: main.py",
            {
                "data.augmentation.interpolation": "bicubic",
                "data.augmentation.policy": "rand-m9-mstd0.5-inc1",
                "data.augmentation.erase_prob": 0.25,
                "data.augmentation.erase_mode": "pixel",
                "data.mixing.mixup_alpha": 0.8,
                "data.mixing.cutmix_alpha": 1.0,
                "data.mixing.mixup_prob": 0.5,
                "data.mixing.cutmix_prob": 0.5,
                "training.epochs": 300,
                "training.ema_decay": None,
                "optimizer.name": "adamw",
                "optimizer.momentum": 0.9,
                "optimizer.weight_decay": 0.05,
                "schedule.name": "cosine",
                "schedule.warmup_epochs": 5.0,
                "schedule.update": "epoch",
                "objective.label_smoothing": 0.1,
            },
        ),
        ("data.augmentation.hflip_prob", 0.5, "code: datasets.py, timm's create_transform"),
        ("data.evaluation.interpolation", "bicubic", "code: datasets.py, build_transform"),
        ("training.batch_size", 1024, "code: README_deit.md, 4 × 256"),
        ("training.precision", "fp32", "ours: the same on every machine"),
        ("optimizer.lr", 1e-3, "code: main.py, 5e-4 · 1024 / 512"),
        ("optimizer.nesterov", False, "ours: SGD's alone"),
        ("optimizer.decay_norm_and_bias", False, "code: main.py, timm's create_optimizer"),
        ("schedule.milestones", (), "ours: of use with other schedules only"),
        ("schedule.gamma", 0.1, "ours: of use with other schedules only"),
        ("schedule.warmup_start", 0.001, "code: main.py, warmup_lr 1e-6"),
        ("schedule.final", 0.01, "code: main.py, min_lr 1e-5"),
        ("objective.decision", "hard", "code: README_deit.md, --distillation-type"),
        ("objective.weight", 0.5, "Eq. 3"),
        ("objective.temperature", 3.0, "§5.1"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size", "top1", "top5"),
        sources(README, README, "code: README_deit.md, regnety_160", "code: main.py", README, README),
        student("deit_tiny_distilled_patch16_224", "deit_tiny_distilled_patch16_224", TEACHER, 224, 74.5, 91.9),
        student("deit_small_distilled_patch16_224", "deit_small_distilled_patch16_224", TEACHER, 224, 81.2, 95.4),
        student("deit_base_distilled_patch16_224", "deit_base_distilled_patch16_224", TEACHER, 224, 83.4, 96.5),
    ),
    variants=(
        variant("soft", "the teacher's probabilities in place of its decision"),
        ("objective.decision", "soft", "Eq. 2"),
        ("objective.weight", 0.1, "§5.1"),
        variant("small_images", "CIFAR's padded crop for images of about 32 px, and no colour changes"),
        *SMALL_IMAGES,
        *at("ours: as CIFAR is trained on", PLAIN),
    ),
)
