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

from dataclasses import dataclass, replace

from torch import Tensor

from ..base.setting_values import Temperature
from ..engine.objective import Objective, StepView
from .blocks import SAME_VIEW, UNMIXED
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import Shapes, TaughtSettings
from .rows import at, columns, from_rows, sources, student, variant
from .xcl import CIFAR_BINARY, CIFAR_PYRAMIDNET, CIFAR_RESNET18, IMAGENET, PAPER, SMALL_IMAGES, SQUARED_TEMPERATURE


@dataclass(frozen=True, kw_only=True)
class XclMixSettings(TaughtSettings):
    """KL(mean_t softmax(z_t / T) ‖ softmax(z_s / T)) on the mixed images.

    Attributes:
        temperature: T.
        squared_temperature: Whether the loss is multiplied by T².
    """

    temperature: Temperature
    squared_temperature: bool

    uses_labels = False

    def build(self, shapes: Shapes) -> Objective:
        return XclMix(self)


class XclMix(Objective):
    """Terms: ``kl``, with the teachers' answer to the very images that the student sees."""

    def __init__(self, settings: XclMixSettings) -> None:
        super().__init__()
        self.settings = settings

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        temperature = self.settings.temperature
        target = mean_probabilities(step.teachers().logits, temperature)
        loss = tempered_kl(step.student().logits, target, temperature)
        return {"kl": loss if self.settings.squared_temperature else loss / temperature**2}


TEACHERS_CIFAR = ("cifar_resnet18",) * 8

RECIPE = from_rows(
    name="xcl_mix",
    summary="XCL: the teachers label the MixUp and CutMix images that the student sees; no label is read.",
    paper=replace(
        PAPER, code="none is public; apple/ml-quant bd7c26c and apple/ml-dr a21113c, of the same group, where cited"
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
    objective=XclMixSettings,
    constants=[
        (
            "TEACHERS_CIFAR",
            TEACHERS_CIFAR,
            "Supp. Table 2: 8 instances with different initial weights, each trained with CutMix",
        )
    ],
    settings=(
        *IMAGENET,
        ("student.model", "resnet50", "Supp. Table 1"),
        ("student.init", "random", "ours: the supplement does not mention pretrained weights"),
        ("teachers.models", (), "ours: Table 1's ResNet-152-D with CutMix has no public weights"),
        SAME_VIEW,
        ("data.unlabeled", None, "§A.5"),
        *at(
            "ours: not in the supplement; 1.0 in apple/ml-dr configs/imagenet/kd.yaml",
            {"data.mixing.mixup_alpha": 1.0, "data.mixing.cutmix_alpha": 1.0},
        ),
        *at(
            "ours: not in the supplement; apple/ml-dr transforms.py draws one of both for a batch",
            {"data.mixing.mixup_prob": 0.5, "data.mixing.cutmix_prob": 0.5},
        ),
        ("optimizer.weight_decay", 1e-5, "§A.5: ten times smaller for XCL"),
        ("objective.temperature", 1.0, "Supp. Table 5: T = 1 gives Table 2's 83.1; §F: XCL is not sensitive to it"),
        ("objective.squared_temperature", True, SQUARED_TEMPERATURE),
    ),
    students=(
        columns("name", "model", "teachers", "image_size", "top1", "top5"),
        sources("", "§A.5: the regular one, not the -D form", "", "§A.5", "Supp. Table 1", "Supp. Table 1"),
        student(None, "resnet50", None, 224, 80.0, 95.0),
        ("name", "resnet50", "Supp. Table 1"),
        ("teachers", (), "ours: Table 1's ResNet-152-D with CutMix has no public weights"),
        ("note", "nearest public teacher: resnet152d.gluon_in1k, trained alike without CutMix"),
        columns("name", "model", "teachers", "image_size"),
        sources("§A.5", "§A.5: the regular one, not the -D form", "ours: not in the supplement", "§A.5"),
        student("resnet101", "resnet101", (), 224),
        ("note", "its numbers stand in the main paper"),
        sources("§A.2", "§A.2", "Supp. Table 2", "§A.2"),
        student("cifar_resnet18", "cifar_resnet18", TEACHERS_CIFAR, 32, variants=("cifar",)),
        ("top1", 83.1, "Supp. Table 2"),
        ("note", "on CIFAR-100, with variant cifar; 84.6 is its ensemble of teachers"),
        sources("§A.3", "§A.3", "ours: not in the supplement", "§A.3"),
        student("cifar_pyramidnet200_a240", "cifar_pyramidnet200_a240", (), 32, variants=("cifar_pyramidnet",)),
        ("note", "on CIFAR-100, with variant cifar_pyramidnet; its numbers stand in the main paper"),
        sources("§A.4", "§A.4", "ours: not in the supplement", "§A.4"),
        student("cifar_binary_resnet18", "cifar_binary_resnet18", (), 32, variants=("cifar_binary",)),
        ("note", "on CIFAR-100, with variant cifar_binary; its numbers stand in the main paper"),
    ),
    variants=(
        variant("kd", "Table 1's KD row, 79.2 top-1: no mixing, and the weight decay of all methods but XCL"),
        *at("Supp. Table 1", UNMIXED),
        ("optimizer.weight_decay", 1e-4, "§A.5"),
        variant("unmixed", "distillation on the images as they are, nothing else changed: Table 4 with variant cifar"),
        *at("Supp. Table 4", UNMIXED),
        variant("mixup", "MixUp alone in every batch"),
        *at(
            "ours: one of the two ways that the supplement names",
            {"data.mixing.mixup_prob": 1.0, "data.mixing.cutmix_prob": 0.0},
        ),
        variant("cutmix", "CutMix alone in every batch"),
        *at(
            "ours: one of the two ways that the supplement names",
            {"data.mixing.mixup_prob": 0.0, "data.mixing.cutmix_prob": 1.0},
        ),
        variant("cifar", "ResNet-18 on CIFAR-100, the setup of the Cutout repository; Tables 2 and 5"),
        *CIFAR_RESNET18,
        variant("cifar_pyramidnet", "PyramidNet-200, α 240, on CIFAR-100, the setup of CutMix"),
        *CIFAR_PYRAMIDNET,
        *at(
            "§A.3",
            {
                "optimizer.weight_decay": 1e-4,
                "schedule.name": "milestones",
                "schedule.milestones": (150, 225),
                "schedule.gamma": 0.1,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        variant("cifar_binary", "ResNet-18 with 1-bit weights on CIFAR-100, by Adam"),
        *CIFAR_BINARY,
        *at(
            "§A.4",
            {
                "schedule.name": "milestones",
                "schedule.milestones": (150, 250),
                "schedule.gamma": 0.1,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        variant(
            "mlquant_schedule",
            "with cifar_binary: the rate falls a third time, as in the code that the supplement names",
        ),
        (
            "schedule.milestones",
            (150, 250, 320),
            "code: apple/ml-quant examples/cifar100/cifar100_ls1_weight_fp_activation_kd.yaml",
        ),
        variant("small_images", "CIFAR's padded crop for images of about 32 px, and no colour changes"),
        *SMALL_IMAGES,
    ),
)
