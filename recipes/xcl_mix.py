"""XCL-Mix: the student learns the teacher's own prediction on MixUp and CutMix images; no label is read.

Paper:   Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution (XCL), H. Pouransari, M. Javaheripi,
         V. Sharma, O. Tuzel, 2021, arXiv 2007.00051; read: its supplement and abstract. No code of it is public.
Table:   supplement Table 1: ResNet-50 on ImageNet 80.0 top-1, 95.0 top-5, teacher ResNet-152-D + CutMix (81.6)
         supplement Table 2: ResNet-18 on CIFAR-100 83.1 top-1, teacher 8 × ResNet-18 + CutMix (84.6)
Command: kdzoo train --variant cutmix --model resnet152d --data imagenet --out runs/teacher
         kdzoo distill --recipe xcl_mix --student resnet50 --teacher runs/teacher --data imagenet
Cost:    not measured yet; ``--dry-run`` estimates it for the machine at hand

Loss: KL(mean teacher probabilities ‖ student) at temperature 1 on the images that the student sees, mixed as they are.

Deviations:
    1. The teacher has to be trained first (``supervised``, variant ``cutmix``): the paper's ResNet-152-D with CutMix
       was never published. Nearest public weights: resnet152d.gluon_in1k (the same training setup without CutMix);
       resnet152d.ra2_in1k is better and trained otherwise. Name one with --teacher to use it in the paper's place.
    2. How often a batch is mixed, by which of both, and their α stand in the main paper, which was not available;
       here every batch is mixed, by either with equal chance, α = 1, as in the same group's later code.
    3. How an ensemble's answers are joined is not in the supplement: here the mean of probabilities.
    4. The strengths of colour jitter and lighting and the momentum are not printed; they are those of the paper's
       reference's code for its training setup (Bag of Tricks, arXiv 1812.01187; dmlc/gluon-cv).
    5. Test images are "resized to 256×256" in the supplement; here their short side is resized to 256.
    6. The augmentation's random numbers and the order of the images are kdzoo's own, and an incomplete last batch
       of an epoch is dropped.

Conflicts:
    1. Temperature: the supplement's Table 5 sweeps T and does not say whether the loss is scaled by T². Default: T = 1,
       where it makes no difference; above, T² as in Hinton's paper and in the code that the supplement names for its
       binary student (apple/ml-quant); ``squared_temperature=false`` leaves it out.
    2. Weight decay: 1e-5 for XCL and 1e-4 for all other methods on ImageNet, where the smaller value did not help
       them. Nothing of the kind is said for CIFAR-100, whose variants keep the one value that is printed.
    3. Binary ResNet-18: the supplement lowers the rate after 150 and 250 epochs; the code that it names
       (apple/ml-quant) after 320 too (variant mlquant_schedule). Default: the supplement.
    4. The teacher of supplement Table 5 is not named; its first row equals Table 2's row ResNet-18 + CutMix, which is
       taken for it. The teachers of the PyramidNet and binary students stand in the main paper only.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..base.setting_values import Temperature
from ..data import Augmentation, Mixing
from ..engine.objective import Objective, Phase, StepView, student_group
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
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
class XclMixSettings(ObjectiveSettings):
    """KL(mean_t softmax(z_t / T) ‖ softmax(z_s / T)) on the mixed images.

    Attributes:
        temperature: T.
        squared_temperature: Whether the loss is multiplied by T².
    """

    temperature: Temperature
    squared_temperature: bool

    @property
    def uses_teachers(self) -> bool:
        return True

    @property
    def uses_labels(self) -> bool:
        return False

    def build(self, shapes: Shapes) -> Objective:
        return XclMix(self)


class XclMix(Objective):
    """Terms: ``kl``, with the teachers' answer to the very images that the student sees."""

    def __init__(self, settings: XclMixSettings) -> None:
        super().__init__()
        self.settings = settings

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        temperature = self.settings.temperature
        target = mean_probabilities(step.teachers().logits, temperature)
        loss = tempered_kl(step.student().logits, target, temperature)
        return {"kl": loss if self.settings.squared_temperature else loss / temperature**2}


TEACHERS_CIFAR = (
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
    "cifar_resnet18",
)  # Supp. Table 2: 8 instances with different initial weights, each trained with CutMix

RECIPE = Recipe(
    name="xcl_mix",
    summary="XCL: the teachers label the MixUp and CutMix images that the student sees; no label is read.",
    paper=Paper(
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        authors="Hadi Pouransari, Mojan Javaheripi, Vinay Sharma, Oncel Tuzel",
        year=2021,
        url="https://arxiv.org/abs/2007.00051",
        code="none is public; apple/ml-quant bd7c26c and apple/ml-dr a21113c, of the same group, where cited",
    ),
    reproduces=(
        "Supplement Table 1, XCL-Mix: ResNet-50 on ImageNet, 80.0 top-1, 95.0 top-5; ImageNetV2 77.2, 68.2, 81.3",
        "Supplement Table 1, KD: the same without mixing, 79.2 top-1, 94.3 top-5 (variant kd)",
        "Supplement Table 2: ResNet-18 on CIFAR-100 (variant cifar); teachers, each eight: ResNet-18 80.2, with label "
        "smoothing 80.9, with MixUp 81.1, with CutMix 83.1, PyramidNet with CutMix 83.8 top-1",
        "Supplement Table 4, KD on CIFAR-100 (variants cifar, unmixed): T = 1, 1.5, 2, 5, 10 give 80.0, 79.9, 80.2, "
        "81.2, 81.1 top-1",
        "Supplement Table 5, XCL-Mix on CIFAR-100 (variant cifar): T = 1, 1.5, 2, 5, 10 give 83.1, 83.0, 83.1, 83.2, "
        "83.1 top-1",
    ),
    student=StudentSettings(
        model="resnet50",  # Supp. Table 1
        init="random",  # ours: the supplement does not mention pretrained weights
    ),
    teachers=TeacherSettings(
        models=(),  # ours: Table 1's ResNet-152-D with CutMix has no public weights
    ),
    data=DataSettings(
        dataset="imagenet",  # §A.5
        val_dataset=None,  # ours: the data set's own validation split
        unlabeled=None,  # §A.5
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
            mixup_alpha=1.0,  # ours: not in the supplement; 1.0 in apple/ml-dr configs/imagenet/kd.yaml
            mixup_prob=0.5,  # ours: not in the supplement; apple/ml-dr transforms.py draws one of both for a batch
            cutmix_alpha=1.0,  # ours: not in the supplement; 1.0 in apple/ml-dr configs/imagenet/kd.yaml
            cutmix_prob=0.5,  # ours: not in the supplement; apple/ml-dr transforms.py draws one of both for a batch
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
        weight_decay=1e-5,  # §A.5: ten times smaller for XCL
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
    objective=XclMixSettings(
        temperature=1.0,  # Supp. Table 5: T = 1 gives Table 2's 83.1; §F: XCL is not sensitive to it
        squared_temperature=True,  # code: apple/ml-quant quant/utils/kd_criterion.py; of no effect at T = 1
    ),
    students=(
        StudentRow(
            name="resnet50",  # Supp. Table 1
            model="resnet50",  # §A.5: the regular one, not the -D form
            teachers=(),  # ours: Table 1's ResNet-152-D with CutMix has no public weights
            image_size=224,  # §A.5
            top1=80.0,  # Supp. Table 1
            top5=95.0,  # Supp. Table 1
            note="nearest public teacher: resnet152d.gluon_in1k, trained alike without CutMix",
        ),
        StudentRow(
            name="resnet101",  # §A.5
            model="resnet101",  # §A.5: the regular one, not the -D form
            teachers=(),  # ours: not in the supplement
            image_size=224,  # §A.5
            note="its numbers stand in the main paper",
        ),
        StudentRow(
            name="cifar_resnet18",  # §A.2
            model="cifar_resnet18",  # §A.2
            teachers=TEACHERS_CIFAR,  # Supp. Table 2
            image_size=32,  # §A.2
            top1=83.1,  # Supp. Table 2
            note="on CIFAR-100, with variant cifar; 84.6 is its ensemble of teachers",
            variants=("cifar",),
        ),
        StudentRow(
            name="cifar_pyramidnet200_a240",  # §A.3
            model="cifar_pyramidnet200_a240",  # §A.3
            teachers=(),  # ours: not in the supplement
            image_size=32,  # §A.3
            note="on CIFAR-100, with variant cifar_pyramidnet; its numbers stand in the main paper",
            variants=("cifar_pyramidnet",),
        ),
        StudentRow(
            name="cifar_binary_resnet18",  # §A.4
            model="cifar_binary_resnet18",  # §A.4
            teachers=(),  # ours: not in the supplement
            image_size=32,  # §A.4
            note="on CIFAR-100, with variant cifar_binary; its numbers stand in the main paper",
            variants=("cifar_binary",),
        ),
    ),
    variants=(
        Variant(
            name="kd",
            why="Table 1's KD row, 79.2 top-1: no mixing, and the weight decay of all methods but XCL",
            overrides={
                "data.mixing.mixup_prob": 0.0,  # Supp. Table 1
                "data.mixing.cutmix_prob": 0.0,  # Supp. Table 1
                "optimizer.weight_decay": 1e-4,  # §A.5
            },
        ),
        Variant(
            name="unmixed",
            why="distillation on the images as they are, nothing else changed: Table 4 with variant cifar",
            overrides={
                "data.mixing.mixup_prob": 0.0,  # Supp. Table 4
                "data.mixing.cutmix_prob": 0.0,  # Supp. Table 4
            },
        ),
        Variant(
            name="mixup",
            why="MixUp alone in every batch",
            overrides={
                "data.mixing.mixup_prob": 1.0,  # ours: one of the two ways that the supplement names
                "data.mixing.cutmix_prob": 0.0,  # ours: one of the two ways that the supplement names
            },
        ),
        Variant(
            name="cutmix",
            why="CutMix alone in every batch",
            overrides={
                "data.mixing.mixup_prob": 0.0,  # ours: one of the two ways that the supplement names
                "data.mixing.cutmix_prob": 1.0,  # ours: one of the two ways that the supplement names
            },
        ),
        Variant(
            name="cifar",
            why="ResNet-18 on CIFAR-100, the setup of the Cutout repository; Tables 2 and 5",
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
                "optimizer.weight_decay": 1e-4,  # §A.3
                "schedule.name": "milestones",  # §A.3
                "schedule.milestones": (150, 225),  # §A.3
                "schedule.gamma": 0.1,  # §A.3
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
                "schedule.gamma": 0.1,  # §A.4
                "schedule.warmup_epochs": 0.0,  # §A.4
            },
        ),
        Variant(
            name="mlquant_schedule",
            why="with cifar_binary: the rate falls a third time, as in the code that the supplement names",
            overrides={
                "schedule.milestones": (
                    150,
                    250,
                    320,
                ),  # code: apple/ml-quant examples/cifar100/cifar100_ls1_weight_fp_activation_kd.yaml
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
