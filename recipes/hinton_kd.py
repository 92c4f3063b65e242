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

from torch import Tensor

from ..base.setting_values import Temperature, Weight
from ..engine.multilabel import sigmoid_cross_entropy
from ..engine.objective import Objective, StepView, mixed_targets
from .blocks import BENCHMARK, MOBILE_RATE, REPDISTILLER
from .objectives.hard_labels import mixed_cross_entropy
from .objectives.soft_labels import mean_probabilities, mean_sigmoids, tempered_kl, tempered_sigmoid_kl
from .recipe import Paper, Probabilities, Shapes, Task, TaughtSettings, task_of
from .rows import at, columns, from_rows, sources, student


@dataclass(frozen=True, kw_only=True)
class HintonSettings(TaughtSettings):
    """γ·CE(labels) + α·T²·KL(teachers‖student at temperature T).

    Attributes:
        temperature: T.
        kd_weight: α.
        label_weight: γ; at 0 no label is read and unlabeled images may be used.
        probabilities: ``softmax``: an image shows one class; ``sigmoid``: each class may be there or not, and both
            losses are sums over the classes, each by itself.
    """

    temperature: Temperature
    kd_weight: Weight
    label_weight: Weight
    probabilities: Probabilities = "softmax"

    @property
    def task(self) -> Task:
        return task_of(self.probabilities)

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

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, logits = self.settings, step.student().logits
        if settings.probabilities == "sigmoid":
            target = mean_sigmoids(step.teachers().logits, settings.temperature)
            terms = {"kd": settings.kd_weight * tempered_sigmoid_kl(logits, target, settings.temperature)}
            if settings.uses_labels:
                hard = sigmoid_cross_entropy(logits, mixed_targets(step)).mean()
                terms["hard_label"] = settings.label_weight * hard
            return terms
        target = mean_probabilities(step.teachers().logits, settings.temperature)
        terms = {"kd": settings.kd_weight * tempered_kl(logits, target, settings.temperature)}
        if settings.uses_labels:
            hard = mixed_cross_entropy(logits, step.labels, step.mixed_labels, step.mix_weight)
            terms["hard_label"] = settings.label_weight * hard
        return terms


RECIPE = from_rows(
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
    objective=HintonSettings,
    settings=(
        *REPDISTILLER,
        ("student.model", "cifar_resnet8x4", BENCHMARK),
        ("teachers.models", ("cifar_resnet32x4",), BENCHMARK),
        ("objective.temperature", 4.0, "code: train_student.py"),
        *at("code: scripts/run_cifar_distill.sh", {"objective.kd_weight": 0.9, "objective.label_weight": 0.1}),
        ("objective.probabilities", "softmax", "ours: one class an image, as CIFAR-100 has"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size", "top1"),
        sources(BENCHMARK, BENCHMARK, BENCHMARK, "code: dataset/cifar100.py", BENCHMARK),
        student("cifar_resnet8x4", "cifar_resnet8x4", ("cifar_resnet32x4",), 32, 73.33),
        ("note", "on CIFAR-100; 72.50 on labels alone"),
        student("cifar_wrn_16_2", "cifar_wrn_16_2", ("cifar_wrn_40_2",), 32, 74.92),
        ("note", "on CIFAR-100; 73.26 on labels alone"),
    ),
    variants=MOBILE_RATE,
)
