"""AE-KD: an ensemble's teachers weigh, at each step, what makes the student's gradient serve all of them.

Paper:   Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space (AE-KD), S. Du, S. You, X. Li,
         J. Wu, F. Wang, C. Qian, C. Zhang, NeurIPS 2020; code: AnTuo1998/AE-KD
Table:   the paper's networks for CIFAR (ResNet-50 to ResNet-18) are larger than those of this recipe
Command: kdzoo train --variant repdistiller --model cifar_resnet32x4 --data cifar100 --seed 0 --out runs/t0
         kdzoo train --variant repdistiller --model cifar_resnet32x4 --data cifar100 --seed 1 --out runs/t1
         kdzoo train --variant repdistiller --model cifar_resnet32x4 --data cifar100 --seed 2 --out runs/t2
         kdzoo distill --recipe ae_kd --teacher runs/t0 --teacher runs/t1 --teacher runs/t2 --data cifar100
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: hard_label + 0.9 · kd, with kd = Σ_m w_m T² KL(teacher m‖student). The weights are constants of the step: the
shortest combination of the teachers' gradients at the student's logits (batch means) in which no teacher weighs more
than C.

Deviations:
    1. Teachers: the code's are three ResNet-50 in a form for 32 px; here three resnet32x4 of other seeds, to be trained
       first. Any others can be named.
    2. The published solver is a one-class SVM whose stopping tolerance is absolute; on short gradients it stops where
       it starts and gives the first teachers all the weight. Here the same problem is solved exactly.
    3. With training.accumulate each part of a batch has its own weights; several processes share theirs.
    4. Augmentation and the order of the images come from kdzoo's own random numbers, and an incomplete last batch of
       an epoch is dropped.
    5. The distillation of hidden layers (hint) with weights of its own is left out.

Conflicts:
    1. The README's command has 5 teachers and no Nesterov momentum; train_student.sh has 3 teachers and Nesterov
       momentum. Default: the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..base.errors import UsageError
from ..base.setting_values import PositiveFraction, Temperature, Weight
from ..engine.objective import Objective, StepView
from .blocks import REPDISTILLER
from .objectives.adaptive_ensemble import ensemble_weights, logit_gradients
from .objectives.divergences import forward_kl
from .objectives.hard_labels import mixed_cross_entropy
from .recipe import Paper, Shapes, TaughtSettings
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class AeKdSettings(TaughtSettings):
    """γ·CE(labels) + α·Σ_m w_m T²·KL(teacher m‖student at temperature T).

    Attributes:
        label_weight: γ; at 0 no label is read and unlabeled images may be used.
        kd_weight: α.
        temperature: T.
        weighting: ``gradients`` (AE-KD) or ``equal`` (each teacher weighs 1/M).
        tolerance: C, the most that a teacher may weigh; below 1/M it counts as 1/M.
        unit_length: Whether the gradients' directions alone are compared.
    """

    label_weight: Weight
    kd_weight: Weight
    temperature: Temperature
    weighting: Literal["gradients", "equal"]
    tolerance: PositiveFraction
    unit_length: bool

    @property
    def uses_labels(self) -> bool:
        return self.label_weight != 0

    def build(self, shapes: Shapes) -> Objective:
        if not 0 < self.tolerance <= 1:
            raise UsageError(f"objective.tolerance must lie in (0, 1], got {self.tolerance}", hint="0.6 is the paper's")
        return AeKd(self)


class AeKd(Objective):
    """Terms: ``kd``, and ``hard_label`` where its weight is not 0."""

    def __init__(self, settings: AeKdSettings) -> None:
        super().__init__()
        self.settings = settings

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, logits, teachers = self.settings, step.student().logits, step.teachers().logits
        losses = torch.stack([forward_kl(logits, teacher, settings.temperature) for teacher in teachers])
        terms = {"kd": settings.kd_weight * (self.weights(step, logits, teachers) * losses).sum()}
        if settings.uses_labels:
            hard = mixed_cross_entropy(logits, step.labels, step.mixed_labels, step.mix_weight)
            terms["hard_label"] = settings.label_weight * hard
        return terms

    def weights(self, step: StepView, logits: Tensor, teachers: tuple[Tensor, ...]) -> Tensor:
        """What each teacher weighs in this step, the same in every process: (M,), summing to 1.

        Args:
            step: The step.
            logits: The student's, (B, C).
            teachers: One (B, C) tensor a teacher.
        """
        if self.settings.weighting == "equal":
            return logits.new_full((len(teachers),), 1 / len(teachers))
        gradients = logit_gradients(logits, teachers, self.settings.temperature)
        gradients = step.gather(gradients[None]).mean(dim=0)
        weights = ensemble_weights(gradients, self.settings.tolerance, unit_length=self.settings.unit_length)
        return weights.to(logits)


TEACHERS = ("cifar_resnet32x4", "cifar_resnet32x4", "cifar_resnet32x4")

RECIPE = from_rows(
    name="ae_kd",
    summary="An ensemble's teachers are weighed anew at each step, so that the gradient serves all of them.",
    paper=Paper(
        title="Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space",
        authors="Shangchen Du, Shan You, Xiaojie Li, Jianlong Wu, Fei Wang, Chen Qian, Changshui Zhang",
        year=2020,
        url="https://proceedings.neurips.cc/paper/2020/hash/91c77393975889bd08f301c9e13a44b7-Abstract.html",
        code="AnTuo1998/AE-KD 68f490e",
    ),
    reproduces=("the method, on CIFAR-100; the paper's own networks are not in the zoo",),
    objective=AeKdSettings,
    settings=(
        *REPDISTILLER,
        *at(
            "code: train_student.sh",
            {
                "student.model": "cifar_resnet18",
                "data.dataset": "cifar100",
                "data.unlabeled": None,
                "training.epochs": 240,
                "optimizer.nesterov": True,
            },
        ),
        ("teachers.models", TEACHERS, "ours: the code's are not in the zoo"),
        ("objective.label_weight", 1.0, "code: train_student.py, gamma"),
        ("objective.kd_weight", 0.9, "code: train_student.py, alpha"),
        ("objective.temperature", 4.0, "code: train_student.py, kd_T"),
        ("objective.weighting", "gradients", "code: train_student.sh, AEKD"),
        ("objective.tolerance", 0.6, "code: train_student.py, C"),
        ("objective.unit_length", False, "code: train_student.py, svm_norm"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources("code: train_student.sh", "code: train_student.sh", "", "code: dataset/cifar100.py"),
        student("cifar_resnet18", "cifar_resnet18", None, 32),
        ("teachers", TEACHERS, "ours: the code's are not in the zoo"),
        ("note", "on CIFAR-100"),
    ),
    variants=(
        variant("equal_weights", "the comparison: each teacher's loss weighs the same"),
        ("objective.weighting", "equal", "code: train_student.py, AVERAGE_LOSS"),
        variant("unit_length", "the directions of the teachers' gradients alone are compared"),
        ("objective.unit_length", True, "code: train_student.py, svm_norm"),
    ),
)
