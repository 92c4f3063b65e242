"""CRD: the student's features are to tell the same image's teacher features from those of other classes' images.

Paper:   Contrastive Representation Distillation (CRD), Y. Tian, D. Krishnan, P. Isola, 2020, arXiv 1910.10699;
         code: HobbitLong/RepDistiller
Table:   Table 1, row CRD, CIFAR-100 top-1: resnet32x4 → resnet8x4 75.51, wrn_40_2 → wrn_16_2 75.48
Command: kdzoo train --variant repdistiller --model cifar_resnet32x4 --data cifar100 --out runs/teacher
         kdzoo distill --recipe crd --student cifar_resnet8x4 --teacher runs/teacher --data cifar100
Cost:    not measured yet; ``--dry-run`` estimates it, the banks' memory included (1.31 GB on ImageNet)

Loss: hard_label + 0.8 · contrast (+ kd in variant crd_kd). Both networks' pooled features are embedded by a linear map
each and scaled to unit length. The student's embedding is scored against stored teacher embeddings, the teacher's
against stored student embeddings: the same image's, and those of K images of other classes. A row of the two banks is
refreshed after its image was scored. Both linear maps learn with the student.

Deviations:
    1. The teachers are to be trained first (``supervised``, variant ``repdistiller``): their released files are
       not used.
    2. Several teachers: one pair of banks each, and the mean of their losses; the paper has one teacher.
    3. Several processes: each sees its own part of the batch, the normalisers are the mean of what each would fix,
       and every process refreshes the rows of all of them. The code runs on one GPU.
    4. With training.accumulate the normalisers come from the first part of the first batch, and the banks are
       refreshed after the last part.
    5. CRD reports the test accuracy of the last epoch, mean of five runs; one run gives one value.
    6. Negatives, augmentation and the order of the images come from kdzoo's own random numbers, and an incomplete
       last batch of an epoch is dropped.

Conflicts:
    1. The paper's Eq. 19 has one critic for a pair; the code scores both directions with a bank each and adds both
       losses. Default: the code.
    2. The paper compares negatives from all other images with negatives from other classes; the code's script uses
       other classes, on CIFAR-100 without replacement where there are enough of them, on ImageNet with it. Default:
       the script; objective.contrast.replacement changes the second part.
    3. The sampler of the released memory (alias method) draws from all classes where no index is given; the training
       script always gives indices of other classes. Default: the script.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..base.errors import UsageError
from ..base.setting_values import Temperature, Weight
from ..engine.objective import Objective, ParameterGroup, Phase, StepView, student_group
from .blocks import BENCHMARK, IMAGENET_COLOURS, IMAGENET_VIEWS, MOBILE_RATE, REPDISTILLER
from .contrast import Contrast, ContrastSettings
from .objectives.hard_labels import mixed_cross_entropy
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import ObjectiveMemory, Paper, Shapes, TaughtSettings, TeacherReads
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class CrdSettings(TaughtSettings):
    """γ·CE(labels) + α·T²·KL(teachers‖student at temperature T) + β·CRD.

    Attributes:
        label_weight: γ.
        kd_weight: α; 0 for none.
        temperature: T.
        contrast_weight: β.
        contrast: How features are compared.
    """

    label_weight: Weight
    kd_weight: Weight
    temperature: Temperature
    contrast_weight: Weight
    contrast: ContrastSettings

    uses_labels = True  # negatives are of other classes, whatever label_weight is

    @property
    def reads(self) -> TeacherReads:
        return TeacherReads(features=True, memory=True)

    def memory(self, num_images: int, batch_size: int, num_teachers: int) -> ObjectiveMemory:
        return self.contrast.memory(num_images, batch_size, num_teachers)

    def build(self, shapes: Shapes) -> Objective:
        if shapes.num_teachers == 0:
            raise UsageError("crd needs a teacher", hint="name one with --teacher REF")
        return Crd(self, Contrast(self.contrast, shapes))


class Crd(Objective):
    """Terms: ``hard_label``, ``contrast``, and ``kd`` where its weight is not 0."""

    def __init__(self, settings: CrdSettings, contrast: Contrast) -> None:
        super().__init__()
        self.settings = settings
        self.contrast = contrast

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student), ParameterGroup("embeddings", self.contrast.embeddings()))),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, student, teachers = self.settings, step.student(), step.teachers()
        hard = mixed_cross_entropy(student.logits, step.labels, step.mixed_labels, step.mix_weight)
        contrast = self.contrast.loss(step, student.features, teachers.features)
        terms = {"hard_label": settings.label_weight * hard, "contrast": settings.contrast_weight * contrast}
        if settings.kd_weight:
            target = mean_probabilities(teachers.logits, settings.temperature)
            terms["kd"] = settings.kd_weight * tempered_kl(student.logits, target, settings.temperature)
        return terms

    def after_step(self, step: StepView) -> None:
        self.contrast.update(step)


RECIPE = from_rows(
    name="crd",
    summary="Contrastive representation distillation with memory banks, in its CIFAR-100 settings.",
    paper=Paper(
        title="Contrastive Representation Distillation",
        authors="Yonglong Tian, Dilip Krishnan, Phillip Isola",
        year=2020,
        url="https://arxiv.org/abs/1910.10699",
        code="HobbitLong/RepDistiller b84f547",
    ),
    reproduces=(
        "Table 1, CRD: resnet32x4 (79.42) to resnet8x4 (72.50) on CIFAR-100, 75.51 top-1",
        "Table 1, CRD: wrn_40_2 (75.61) to wrn_16_2 (73.26) on CIFAR-100, 75.48 top-1",
    ),
    objective=CrdSettings,
    settings=(
        *REPDISTILLER,
        ("student.model", "cifar_resnet8x4", BENCHMARK),
        ("teachers.models", ("cifar_resnet32x4",), BENCHMARK),
        ("objective.label_weight", 1.0, "code: train_student.py, gamma"),
        ("objective.kd_weight", 0.0, "code: scripts/run_cifar_distill.sh, -a 0"),
        ("objective.temperature", 4.0, "code: train_student.py, kd_T"),
        ("objective.contrast_weight", 0.8, "code: scripts/run_cifar_distill.sh, -b 0.8"),
        ("objective.contrast.embedding_dim", 128, "code: train_student.py, feat_dim"),
        ("objective.contrast.num_negatives", 16384, "code: train_student.py, nce_k"),
        ("objective.contrast.temperature", 0.07, "code: train_student.py, nce_t"),
        ("objective.contrast.momentum", 0.5, "code: train_student.py, nce_m"),
        ("objective.contrast.positive", "exact", "code: train_student.py, mode"),
        ("objective.contrast.replacement", "when_needed", "code: dataset/cifar100.py, replace"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size", "top1"),
        sources(BENCHMARK, BENCHMARK, BENCHMARK, "code: dataset/cifar100.py", BENCHMARK),
        student("cifar_resnet8x4", "cifar_resnet8x4", ("cifar_resnet32x4",), 32, 75.51),
        ("note", "on CIFAR-100; 72.50 on labels alone, 73.33 with Hinton's distillation"),
        student("cifar_wrn_16_2", "cifar_wrn_16_2", ("cifar_wrn_40_2",), 32, 75.48),
        ("note", "on CIFAR-100; 73.26 on labels alone, 74.92 with Hinton's distillation"),
    ),
    variants=(
        variant("crd_kd", "CRD together with Hinton's distillation"),
        ("objective.kd_weight", 1.0, "code: scripts/run_cifar_distill.sh, -a 1"),
        variant("relaxed_positive", "the positive is a random image of the same class, not the image itself"),
        ("objective.contrast.positive", "relaxed", "code: train_student.py, mode"),
        variant("imagenet", "ResNet-34 to ResNet-18 on ImageNet: fewer negatives, and torchvision's usual training"),
        *at(
            "CRD §4.1",
            {"student.model": "resnet18", "teachers.models": ("resnet34.tv_in1k",), "data.dataset": "imagenet"},
        ),
        *at("code: dataset/imagenet.py", IMAGENET_VIEWS, IMAGENET_COLOURS),
        ("training.epochs", 100, "ours: usual for this pair; no ImageNet script was released"),
        *at(
            "ours: as torchvision trained the teacher",
            {
                "training.batch_size": 256,
                "optimizer.lr": 0.1,
                "optimizer.weight_decay": 1e-4,
                "schedule.milestones": (30, 60, 90),
            },
        ),
        ("objective.contrast.num_negatives", 4096, "code: dataset/imagenet.py, k"),
        ("objective.contrast.replacement", "always", "code: dataset/imagenet.py, replace=True"),
        *MOBILE_RATE,
    ),
)
