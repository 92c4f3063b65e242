"""Supervised training on labels: how a teacher is made, and the baseline that a distilled student must beat.

Paper:   Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution (XCL), H. Pouransari, M. Javaheripi,
         V. Sharma, O. Tuzel, 2021, arXiv 2007.00051; its baseline, called ERM there
Table:   supplement Table 1, ERM: ResNet-50 on ImageNet 77.3 top-1, 93.6 top-5
Command: kdzoo train --model resnet50 --data imagenet

Deviations:
    1. The strengths of colour jitter and lighting and the momentum are not printed; they are those of the code of the
       paper's reference for its training setup (Bag of Tricks, arXiv 1812.01187; dmlc/gluon-cv).
    2. That reference prints hue, saturation and brightness; its code jitters brightness, contrast and saturation. So
       does this recipe.
    3. Test images are "resized to 256×256" in the supplement; here their short side is resized to 256.
    4. The augmentation's random numbers and the order of the images are kdzoo's own, and an incomplete last batch
       of an epoch is dropped.
    5. MixUp's and CutMix's α stand in the main paper, which was not available; 1.0 is from the same group's later
       code.

Conflicts:
    1. Label smoothing: the supplement's Eq. 1 gives ε/(C − 1) to each other class; torch gives ε/C to every
       class. The variant follows the supplement; objective.smoothing_definition changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..base.errors import UsageError
from ..base.setting_values import LabelSmoothing
from ..engine.multilabel import sigmoid_cross_entropy
from ..engine.objective import Objective, StepView, mixed_targets
from .blocks import LABELS_ALONE, ON_CIFAR100, REPDISTILLER_COLOURS, UNMIXED
from .objectives.hard_labels import Smoothing, balanced_weights, mixed_cross_entropy, smoothed_targets
from .recipe import ObjectiveSettings, Probabilities, Shapes, Task, task_of
from .rows import at, columns, from_rows, sources, student, variant
from .xcl import CIFAR_BINARY, CIFAR_PYRAMIDNET, CIFAR_RESNET18, IMAGENET, PAPER, SMALL_IMAGES


@dataclass(frozen=True, kw_only=True)
class HardLabelSettings(ObjectiveSettings):
    """Cross-entropy with the labels.

    Attributes:
        label_smoothing: ε.
        smoothing_definition: ``all_classes`` (ε/C each, torch's) or ``other_classes`` (ε/(C − 1) each).
        class_weights: ``balanced``: an image counts in inverse proportion to how many its class has; None: all alike.
        probabilities: ``softmax``: an image shows one class; ``sigmoid``: each class may be there or not, and the loss
            is the sum of the classes' binary cross-entropies.
    """

    label_smoothing: LabelSmoothing
    smoothing_definition: Smoothing
    class_weights: Literal["balanced"] | None = None
    probabilities: Probabilities = "softmax"

    uses_teachers = False
    uses_labels = True

    @property
    def task(self) -> Task:
        return task_of(self.probabilities)

    def build(self, shapes: Shapes) -> Objective:
        if self.class_weights is not None and self.probabilities == "sigmoid":
            raise UsageError(
                "objective.class_weights=balanced is made for one class an image",
                hint="leave it out: the mAP counts each class alike",
            )
        if self.class_weights is None:
            return HardLabels(self)
        assert shapes.labels is not None
        return HardLabels(self, balanced_weights(torch.tensor(shapes.labels), shapes.num_classes))


class HardLabels(Objective):
    """Terms: ``hard_label``; mixed labels, or targets, where the batch is mixed."""

    def __init__(self, settings: HardLabelSettings, weights: Tensor | None = None) -> None:
        super().__init__()
        self.weights: Tensor | None
        self.settings = settings
        self.register_buffer("weights", weights, persistent=False)  # follows from the data, not from the steps

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        smoothing = self.settings.label_smoothing, self.settings.smoothing_definition
        if self.settings.probabilities == "sigmoid":
            targets = smoothed_targets(mixed_targets(step), *smoothing)
            return {"hard_label": sigmoid_cross_entropy(step.student().logits, targets).mean()}
        loss = mixed_cross_entropy(
            step.student().logits,
            step.labels,
            step.mixed_labels,
            step.mix_weight,
            *smoothing,
            self.weights,
        )
        return {"hard_label": loss}


CUTMIX = "code: clovaai/CutMix-PyTorch"

RECIPE = from_rows(
    name="supervised",
    summary="Training on labels, with label smoothing, MixUp and CutMix as options: teachers and baselines.",
    paper=PAPER,
    reproduces=("Supplement Table 1: ERM, ResNet-50 on ImageNet, 77.3 top-1, 93.6 top-5",),
    objective=HardLabelSettings,
    settings=(
        *IMAGENET,
        *LABELS_ALONE,
        ("student.model", "resnet50", "§A.5"),
        ("student.init", "random", "ours: ERM trains from scratch; the supplement does not mention pretrained weights"),
        ("data.mixing.mixup_alpha", 1.0, "ours: of use in the variant mixup only"),
        ("data.mixing.cutmix_alpha", 1.0, "ours: of use in the variant cutmix only"),
        *at("§A.5", UNMIXED, {"optimizer.weight_decay": 1e-4, "objective.label_smoothing": 0.0}),
        ("objective.smoothing_definition", "other_classes", "Supp. Eq. 1"),
        ("objective.class_weights", None, "ours: not in the supplement; balanced: each class counts alike"),
        ("objective.probabilities", "softmax", "ours: one class an image, as ImageNet has"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size", "top1", "top5"),
        sources(
            "Supp. Table 1",
            "§A.5: the regular one, not the -D form",
            "Supp. Table 1: ERM",
            "§A.5",
            "Supp. Table 1",
            "Supp. Table 1",
        ),
        student("resnet50", "resnet50", (), 224, 77.3, 93.6),
    ),
    variants=(
        variant("label_smoothing", "the label smoothing row; ε = 0.1 is the best of supplement Table 3 (CIFAR-100)"),
        ("objective.label_smoothing", 0.1, "Supp. Table 3"),
        variant("mixup", "the MixUp row: ResNet-50 77.8 top-1, 93.9 top-5"),
        ("data.mixing.mixup_prob", 1.0, "ours: not in the supplement; the same group's ml-dr mixes every batch"),
        variant("cutmix", "the CutMix row: ResNet-50 78.7 top-1, 94.3 top-5; on CIFAR half of the batches are mixed"),
        ("data.mixing.cutmix_prob", 1.0, f"{CUTMIX} README, ImageNet"),
        ("datasets.cifar10.data.mixing.cutmix_prob", 0.5, "ours: as its authors have it on CIFAR-100"),
        ("datasets.cifar100.data.mixing.cutmix_prob", 0.5, f"{CUTMIX} README, CIFAR-100"),
        variant(
            "cutmix_authors",
            "ResNet-50 on ImageNet as CutMix's authors trained and released it, 78.6 top-1: where FixRes begins",
        ),
        *at(
            f"{CUTMIX} README, ImageNet",
            {"data.mixing.cutmix_prob": 1.0, "training.batch_size": 256, "optimizer.lr": 0.1},
        ),
        *at(
            f"{CUTMIX} train.py, adjust_learning_rate",
            {"schedule.name": "milestones", "schedule.milestones": (75, 150, 225), "schedule.warmup_epochs": 0.0},
        ),
        variant("cifar", "ResNet-18 on CIFAR-100, the setup of the Cutout repository"),
        *CIFAR_RESNET18,
        variant(
            "cutout",
            "with cifar: one square of 8 px is cut out of each image, CIFAR-100's best size in the Cutout paper",
        ),
        ("data.augmentation.cutout_size", 8, "code: uoguelph-mlrg/Cutout README, CIFAR-100"),
        ("data.augmentation.mask_fill", (125, 123, 114), "code: uoguelph-mlrg/Cutout train.py, its mean"),
        variant("cifar_pyramidnet", "PyramidNet-200, α 240, on CIFAR-100, the setup of CutMix"),
        *CIFAR_PYRAMIDNET,
        *at("§A.3", {"schedule.name": "milestones", "schedule.milestones": (150, 225), "schedule.warmup_epochs": 0.0}),
        variant("cifar_binary", "ResNet-18 with 1-bit weights on CIFAR-100, by Adam"),
        *CIFAR_BINARY,
        *at("§A.4", {"schedule.name": "milestones", "schedule.milestones": (150, 250), "schedule.warmup_epochs": 0.0}),
        variant("repdistiller", "the teachers and students of hinton_kd's CIFAR-100 table, trained on labels"),
        ("student.model", "cifar_resnet32x4", "code: RepDistiller scripts/run_cifar_vanilla.sh"),
        *at("code: RepDistiller dataset/cifar100.py", ON_CIFAR100, REPDISTILLER_COLOURS),
        *at(
            "code: RepDistiller train_teacher.py",
            {
                "data.dataset": "cifar100",
                "training.epochs": 240,
                "training.batch_size": 64,
                "optimizer.lr": 0.05,
                "optimizer.nesterov": False,
                "optimizer.weight_decay": 5e-4,
                "schedule.name": "milestones",
                "schedule.milestones": (150, 180, 210),
                "schedule.gamma": 0.1,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        variant("small_images", "CIFAR's padded crop for images of about 32 px, and no colour changes"),
        *SMALL_IMAGES,
    ),
)
