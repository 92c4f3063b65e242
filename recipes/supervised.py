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

from torch import Tensor, nn

from ..base.setting_values import LabelSmoothing
from ..data import Augmentation, Mixing
from ..engine.objective import Objective, Phase, StepView, student_group
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .objectives.hard_labels import Smoothing, mixed_cross_entropy
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
class HardLabelSettings(ObjectiveSettings):
    """Cross-entropy with the labels.

    Attributes:
        label_smoothing: ε.
        smoothing_definition: ``all_classes`` (ε/C each, torch's) or ``other_classes`` (ε/(C − 1) each).
    """

    label_smoothing: LabelSmoothing
    smoothing_definition: Smoothing

    @property
    def uses_teachers(self) -> bool:
        return False

    @property
    def uses_labels(self) -> bool:
        return True

    def build(self, shapes: Shapes) -> Objective:
        return HardLabels(self)


class HardLabels(Objective):
    """Terms: ``hard_label``; mixed labels where the batch is mixed."""

    def __init__(self, settings: HardLabelSettings) -> None:
        super().__init__()
        self.settings = settings

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        loss = mixed_cross_entropy(
            step.student().logits,
            step.labels,
            step.mixed_labels,
            step.mix_weight,
            self.settings.label_smoothing,
            self.settings.smoothing_definition,
        )
        return {"hard_label": loss}


RECIPE = Recipe(
    name="supervised",
    summary="Training on labels, with label smoothing, MixUp and CutMix as options: teachers and baselines.",
    paper=Paper(
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        authors="Hadi Pouransari, Mojan Javaheripi, Vinay Sharma, Oncel Tuzel",
        year=2021,
        url="https://arxiv.org/abs/2007.00051",
    ),
    reproduces=("Supplement Table 1: ERM, ResNet-50 on ImageNet, 77.3 top-1, 93.6 top-5",),
    student=StudentSettings(
        model="resnet50",  # §A.5
        init="random",  # ours: ERM trains from scratch; the supplement does not mention pretrained weights
    ),
    teachers=TeacherSettings(
        models=(),  # ours: labels alone
    ),
    data=DataSettings(
        dataset="imagenet",  # §A.5
        val_dataset=None,  # ours: the data set's own validation split
        unlabeled=None,  # ours: labels alone
        augmentation=Augmentation(
            image_size=224,  # §A.5
            crop="random_resized",  # §A.5
            scale=(0.08, 1.0),  # code: dmlc/gluon-cv train_imagenet.py
            ratio=(0.75, 1.3333333333333333),  # code: dmlc/gluon-cv train_imagenet.py
            interpolation="bilinear",  # ours: not stated
            hflip_prob=0.5,  # §A.5
            policy=None,  # ours: none mentioned in §A.5
            color_jitter=(0.4, 0.4, 0.4),  # code: dmlc/gluon-cv train_imagenet.py, jitter_param
            lighting_std=0.1,  # code: dmlc/gluon-cv train_imagenet.py, lighting_param
            erase_prob=0.0,  # ours: none mentioned in §A.5
        ),
        mixing=Mixing(
            mixup_alpha=1.0,  # ours: of use in the variant mixup only
            mixup_prob=0.0,  # §A.5
            cutmix_alpha=1.0,  # ours: of use in the variant cutmix only
            cutmix_prob=0.0,  # §A.5
        ),
        evaluation=EvaluationSettings(
            crop_pct=0.875,  # §A.5: 256 to 224
            interpolation="bilinear",  # ours: not stated
        ),
        mean=(0.485, 0.456, 0.406),  # code: dmlc/gluon-cv train_imagenet.py
        std=(0.229, 0.224, 0.225),  # code: dmlc/gluon-cv train_imagenet.py
    ),
    training=TrainingSettings(
        epochs=300,  # §A.5
        batch_size=1024,  # §A.5
        precision="fp32",  # ours: not stated
    ),
    optimizer=OptimizerSettings(
        name="sgd",  # §A.5
        lr=0.4,  # §A.5
        momentum=0.9,  # code: dmlc/gluon-cv train_imagenet.py; §A.5 prints none
        nesterov=True,  # §A.5
        weight_decay=1e-4,  # §A.5
        decay_norm_and_bias=True,  # ours: not stated
    ),
    schedule=ScheduleSettings(
        name="cosine",  # §A.5
        milestones=(),  # §A.5: none
        gamma=0.1,  # ours: of use in variants with milestones only
        warmup_epochs=5.0,  # §A.5
        warmup_start=0.25,  # §A.5: from 0.1 to 0.4
        final=0.0,  # §A.5
        update="step",  # ours: not stated
    ),
    objective=HardLabelSettings(
        label_smoothing=0.0,  # §A.5
        smoothing_definition="other_classes",  # Supp. Eq. 1
    ),
    students=(
        StudentRow(
            name="resnet50",  # Supp. Table 1
            model="resnet50",  # §A.5: the regular one, not the -D form
            teachers=(),  # Supp. Table 1: ERM
            image_size=224,  # §A.5
            top1=77.3,  # Supp. Table 1
            top5=93.6,  # Supp. Table 1
        ),
    ),
    variants=(
        Variant(
            name="label_smoothing",
            why="the label smoothing row; ε = 0.1 is the best of supplement Table 3 (CIFAR-100)",
            overrides={
                "objective.label_smoothing": 0.1,  # Supp. Table 3
            },
        ),
        Variant(
            name="mixup",
            why="the MixUp row: ResNet-50 77.8 top-1, 93.9 top-5",
            overrides={
                "data.mixing.mixup_prob": 1.0,  # ours: not in the supplement; the same group's ml-dr mixes every batch
            },
        ),
        Variant(
            name="cutmix",
            why="the CutMix row: ResNet-50 78.7 top-1, 94.3 top-5; on CIFAR half of the batches are mixed",
            overrides={
                "data.mixing.cutmix_prob": 1.0,  # code: clovaai/CutMix-PyTorch README, ImageNet
                "datasets.cifar10.data.mixing.cutmix_prob": 0.5,  # ours: as its authors have it on CIFAR-100
                "datasets.cifar100.data.mixing.cutmix_prob": 0.5,  # code: clovaai/CutMix-PyTorch README, CIFAR-100
            },
        ),
        Variant(
            name="cutmix_authors",
            why="ResNet-50 on ImageNet as CutMix's authors trained and released it, 78.6 top-1: where FixRes begins",
            overrides={
                "data.mixing.cutmix_prob": 1.0,  # code: clovaai/CutMix-PyTorch README, ImageNet
                "training.batch_size": 256,  # code: clovaai/CutMix-PyTorch README, ImageNet
                "optimizer.lr": 0.1,  # code: clovaai/CutMix-PyTorch README, ImageNet
                "schedule.name": "milestones",  # code: clovaai/CutMix-PyTorch train.py, adjust_learning_rate
                "schedule.milestones": (75, 150, 225),  # code: clovaai/CutMix-PyTorch train.py, adjust_learning_rate
                "schedule.warmup_epochs": 0.0,  # code: clovaai/CutMix-PyTorch train.py, adjust_learning_rate
            },
        ),
        Variant(
            name="cifar",
            why="ResNet-18 on CIFAR-100, the setup of the Cutout repository",
            overrides={
                "student.model": "cifar_resnet18",  # §A.2
                "data.dataset": "cifar100",  # §A.2
                "data.augmentation.image_size": 32,  # §A.2
                "data.augmentation.crop": "pad4",  # §A.2
                "data.augmentation.color_jitter": None,  # §A.2
                "data.augmentation.lighting_std": 0.0,  # §A.2
                "data.evaluation.crop_pct": 1.0,  # §A.2
                "data.mean": (0.4914, 0.4824, 0.4467),  # code: uoguelph-mlrg/Cutout train.py
                "data.std": (0.2471, 0.2435, 0.2616),  # code: uoguelph-mlrg/Cutout train.py
                "training.epochs": 400,  # §A.2
                "training.batch_size": 128,  # §A.2
                "optimizer.lr": 0.1,  # §A.2
                "optimizer.weight_decay": 5e-4,  # §A.2
                "schedule.name": "milestones",  # §A.2
                "schedule.milestones": (120, 240, 320),  # §A.2
                "schedule.gamma": 0.2,  # §A.2
                "schedule.warmup_epochs": 0.0,  # §A.2
            },
        ),
        Variant(
            name="cutout",
            why="with cifar: one square of 8 px is cut out of each image, CIFAR-100's best size in the Cutout paper",
            overrides={
                "data.augmentation.cutout_size": 8,  # code: uoguelph-mlrg/Cutout README, CIFAR-100
                "data.augmentation.mask_fill": (
                    125,
                    123,
                    114,
                ),  # code: uoguelph-mlrg/Cutout train.py, its mean
            },
        ),
        Variant(
            name="cifar_pyramidnet",
            why="PyramidNet-200, α 240, on CIFAR-100, the setup of CutMix",
            overrides={
                "student.model": "cifar_pyramidnet200_a240",  # §A.3
                "data.dataset": "cifar100",  # §A.3
                "data.augmentation.image_size": 32,  # §A.3
                "data.augmentation.crop": "pad4",  # §A.3
                "data.augmentation.color_jitter": None,  # §A.3
                "data.augmentation.lighting_std": 0.0,  # §A.3
                "data.evaluation.crop_pct": 1.0,  # §A.3
                "data.mean": (0.4914, 0.4824, 0.4467),  # code: clovaai/CutMix-PyTorch train.py
                "data.std": (0.2471, 0.2435, 0.2616),  # code: clovaai/CutMix-PyTorch train.py
                "training.epochs": 300,  # §A.3
                "training.batch_size": 64,  # §A.3
                "optimizer.lr": 0.25,  # §A.3
                "schedule.name": "milestones",  # §A.3
                "schedule.milestones": (150, 225),  # §A.3
                "schedule.warmup_epochs": 0.0,  # §A.3
            },
        ),
        Variant(
            name="cifar_binary",
            why="ResNet-18 with 1-bit weights on CIFAR-100, by Adam",
            overrides={
                "student.model": "cifar_binary_resnet18",  # §A.4
                "data.dataset": "cifar100",  # §A.4
                "data.augmentation.image_size": 32,  # §A.4
                "data.augmentation.crop": "pad4",  # §A.4
                "data.augmentation.color_jitter": None,  # §A.4
                "data.augmentation.lighting_std": 0.0,  # §A.4
                "data.evaluation.crop_pct": 1.0,  # §A.4
                "data.mean": (0.5071, 0.4865, 0.4409),  # code: apple/ml-quant quant/data/data_loaders.py
                "data.std": (0.2673, 0.2564, 0.2762),  # code: apple/ml-quant quant/data/data_loaders.py
                "training.epochs": 350,  # §A.4
                "training.batch_size": 128,  # §A.4
                "optimizer.name": "adam",  # §A.4
                "optimizer.lr": 2e-4,  # §A.4
                "optimizer.nesterov": False,  # §A.4: Adam has none
                "optimizer.weight_decay": 0.0,  # §A.4
                "schedule.name": "milestones",  # §A.4
                "schedule.milestones": (150, 250),  # §A.4
                "schedule.warmup_epochs": 0.0,  # §A.4
            },
        ),
        Variant(
            name="repdistiller",
            why="the teachers and students of hinton_kd's CIFAR-100 table, trained on labels",
            overrides={
                "student.model": "cifar_resnet32x4",  # code: RepDistiller scripts/run_cifar_vanilla.sh
                "data.dataset": "cifar100",  # code: RepDistiller train_teacher.py
                "data.augmentation.image_size": 32,  # code: RepDistiller dataset/cifar100.py
                "data.augmentation.crop": "pad4",  # code: RepDistiller dataset/cifar100.py
                "data.augmentation.color_jitter": None,  # code: RepDistiller dataset/cifar100.py
                "data.augmentation.lighting_std": 0.0,  # code: RepDistiller dataset/cifar100.py
                "data.evaluation.crop_pct": 1.0,  # code: RepDistiller dataset/cifar100.py
                "data.mean": (0.5071, 0.4867, 0.4408),  # code: RepDistiller dataset/cifar100.py
                "data.std": (0.2675, 0.2565, 0.2761),  # code: RepDistiller dataset/cifar100.py
                "training.epochs": 240,  # code: RepDistiller train_teacher.py
                "training.batch_size": 64,  # code: RepDistiller train_teacher.py
                "optimizer.lr": 0.05,  # code: RepDistiller train_teacher.py
                "optimizer.nesterov": False,  # code: RepDistiller train_teacher.py
                "optimizer.weight_decay": 5e-4,  # code: RepDistiller train_teacher.py
                "schedule.name": "milestones",  # code: RepDistiller train_teacher.py
                "schedule.milestones": (150, 180, 210),  # code: RepDistiller train_teacher.py
                "schedule.gamma": 0.1,  # code: RepDistiller train_teacher.py
                "schedule.warmup_epochs": 0.0,  # code: RepDistiller train_teacher.py
            },
        ),
        Variant(
            name="small_images",
            why="CIFAR's padded crop for images of about 32 px, and no colour changes",
            overrides={
                "data.augmentation.crop": "pad4",  # ours: as CIFAR is trained on
                "data.augmentation.color_jitter": None,  # ours: as CIFAR is trained on
                "data.augmentation.lighting_std": 0.0,  # ours: as CIFAR is trained on
                "data.evaluation.crop_pct": 1.0,  # ours: as CIFAR is tested on
            },
        ),
    ),
)
