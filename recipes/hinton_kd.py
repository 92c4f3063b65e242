"""Hinton's knowledge distillation, in the settings that CIFAR-100 comparisons use.

Paper:   Distilling the Knowledge in a Neural Network, G. Hinton, O. Vinyals, J. Dean, 2015, arXiv 1503.02531
         settings: Contrastive Representation Distillation (CRD), Y. Tian, D. Krishnan, P. Isola, 2020,
         arXiv 1910.10699, and its code, HobbitLong/RepDistiller
Table:   CRD Table 1, row KD, CIFAR-100 top-1: resnet32x4 → resnet8x4 73.33, wrn_40_2 → wrn_16_2 74.92
Command: kdzoo train --variant repdistiller --model cifar_resnet32x4 --data cifar100 --out runs/teacher
         kdzoo distill --recipe hinton_kd --student cifar_resnet8x4 --teacher runs/teacher --data cifar100

Deviations:
    1. The teachers are to be trained first (``supervised``, variant ``repdistiller``): their released files are
       not used.
    2. Several teachers: the target is the mean of their tempered probabilities, mean_t softmax(z_t / T), the
       arithmetic mean of the paper's §3; the paper allows the geometric one too, and CRD has one teacher only.
    3. CRD reports the test accuracy of the last epoch, mean of five runs; one run gives one value.
    4. The augmentation's random numbers and the order of the images are kdzoo's own, and an incomplete last batch
       of an epoch is dropped.

Conflicts:
    1. The paper gives the hard label "a considerably lower weight" without a number; the code's scripts use 0.1
       and 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..base.setting_values import Temperature, Weight
from ..data import Augmentation, Mixing
from ..engine.objective import Objective, Phase, StepView, student_group
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .objectives.hard_labels import mixed_cross_entropy
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import (
    DataSettings,
    EvaluationSettings,
    ObjectiveSettings,
    Paper,
    Recipe,
    Shapes,
    StudentRow,
    StudentSettings,
    TeacherSettings,
    Variant,
)


@dataclass(frozen=True, kw_only=True)
class HintonSettings(ObjectiveSettings):
    """γ·CE(labels) + α·T²·KL(teachers‖student at temperature T).

    Attributes:
        temperature: T.
        kd_weight: α.
        label_weight: γ; at 0 no label is read and unlabeled images may be used.
    """

    temperature: Temperature
    kd_weight: Weight
    label_weight: Weight

    @property
    def uses_teachers(self) -> bool:
        return True

    @property
    def uses_labels(self) -> bool:
        return self.label_weight != 0

    def build(self, shapes: Shapes) -> Objective:
        return HintonKD(self)


class HintonKD(Objective):
    """Terms: ``hard_label`` (where its weight is not 0) and ``kd``."""

    def __init__(self, settings: HintonSettings) -> None:
        super().__init__()
        self.settings = settings

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, logits = self.settings, step.student().logits
        target = mean_probabilities(step.teachers().logits, settings.temperature)
        terms = {"kd": settings.kd_weight * tempered_kl(logits, target, settings.temperature)}
        if settings.uses_labels:
            hard = mixed_cross_entropy(logits, step.labels, step.mixed_labels, step.mix_weight)
            terms["hard_label"] = settings.label_weight * hard
        return terms


RECIPE = Recipe(
    name="hinton_kd",
    summary="Hinton's distillation: softened teacher probabilities and labels, in CRD's CIFAR-100 settings.",
    paper=Paper(
        title="Distilling the Knowledge in a Neural Network",
        authors="Geoffrey Hinton, Oriol Vinyals, Jeff Dean",
        year=2015,
        url="https://arxiv.org/abs/1503.02531",
        code="HobbitLong/RepDistiller b84f547",
    ),
    reproduces=(
        "CRD Table 1, KD: resnet32x4 (79.42) to resnet8x4 (72.50) on CIFAR-100, 73.33 top-1",
        "CRD Table 1, KD: wrn_40_2 (75.61) to wrn_16_2 (73.26) on CIFAR-100, 74.92 top-1",
    ),
    student=StudentSettings(
        model="cifar_resnet8x4",  # code: README, benchmark 1 (the paper's Table 1)
        init="random",  # code: train_student.py
    ),
    teachers=TeacherSettings(
        models=("cifar_resnet32x4",),  # code: README, benchmark 1 (the paper's Table 1)
    ),
    data=DataSettings(
        dataset="cifar100",  # code: train_student.py
        val_dataset=None,  # ours: the data set's own validation split
        unlabeled=None,  # code: train_student.py
        augmentation=Augmentation(
            image_size=32,  # code: dataset/cifar100.py
            crop="pad4",  # code: dataset/cifar100.py
            interpolation="bilinear",  # ours: of use for images of another size only
            hflip_prob=0.5,  # code: dataset/cifar100.py
            policy=None,  # code: dataset/cifar100.py
            color_jitter=None,  # code: dataset/cifar100.py
            lighting_std=0.0,  # code: dataset/cifar100.py
            erase_prob=0.0,  # code: dataset/cifar100.py
        ),
        mixing=Mixing(
            mixup_alpha=1.0,  # ours: of use with --set data.mixing.mixup_prob only
            mixup_prob=0.0,  # code: helper/loops.py
            cutmix_alpha=1.0,  # ours: of use with --set data.mixing.cutmix_prob only
            cutmix_prob=0.0,  # code: helper/loops.py
        ),
        evaluation=EvaluationSettings(
            crop_pct=1.0,  # code: dataset/cifar100.py
            interpolation="bilinear",  # ours: of use for images of another size only
        ),
        mean=(0.5071, 0.4867, 0.4408),  # code: dataset/cifar100.py
        std=(0.2675, 0.2565, 0.2761),  # code: dataset/cifar100.py
    ),
    training=TrainingSettings(
        epochs=240,  # code: train_student.py
        batch_size=64,  # code: train_student.py
        precision="fp32",  # code: train_student.py, nothing is cast
    ),
    optimizer=OptimizerSettings(
        name="sgd",  # code: train_student.py
        lr=0.05,  # code: train_student.py
        momentum=0.9,  # code: train_student.py
        nesterov=False,  # code: train_student.py
        weight_decay=5e-4,  # code: train_student.py
        decay_norm_and_bias=True,  # code: train_student.py
    ),
    schedule=ScheduleSettings(
        name="milestones",  # code: helper/util.py
        milestones=(150, 180, 210),  # code: train_student.py
        gamma=0.1,  # code: train_student.py
        warmup_epochs=0.0,  # code: train_student.py
    ),
    objective=HintonSettings(
        temperature=4.0,  # code: train_student.py
        kd_weight=0.9,  # code: scripts/run_cifar_distill.sh
        label_weight=0.1,  # code: scripts/run_cifar_distill.sh
    ),
    students=(
        StudentRow(
            name="cifar_resnet8x4",  # code: README, benchmark 1 (the paper's Table 1)
            model="cifar_resnet8x4",  # code: README, benchmark 1 (the paper's Table 1)
            teachers=("cifar_resnet32x4",),  # code: README, benchmark 1 (the paper's Table 1)
            image_size=32,  # code: dataset/cifar100.py
            top1=73.33,  # code: README, benchmark 1 (the paper's Table 1)
            note="on CIFAR-100; 72.50 on labels alone",
        ),
        StudentRow(
            name="cifar_wrn_16_2",  # code: README, benchmark 1 (the paper's Table 1)
            model="cifar_wrn_16_2",  # code: README, benchmark 1 (the paper's Table 1)
            teachers=("cifar_wrn_40_2",),  # code: README, benchmark 1 (the paper's Table 1)
            image_size=32,  # code: dataset/cifar100.py
            top1=74.92,  # code: README, benchmark 1 (the paper's Table 1)
            note="on CIFAR-100; 73.26 on labels alone",
        ),
    ),
    variants=(
        Variant(
            name="mobile",
            why="the learning rate for MobileNet and ShuffleNet students",
            overrides={
                "optimizer.lr": 0.01,  # code: train_student.py
            },
            students=("*mobilenet*", "*shufflenet*"),
        ),
    ),
)
