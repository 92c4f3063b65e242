"""Gaze estimation from labels, with uncertainty: how XCL's regression teacher is made, and its students' baselines.

Paper:   Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution (XCL), H. Pouransari, M. Javaheripi,
         V. Sharma, O. Tuzel, 2021, arXiv 2007.00051; read: its supplement and abstract. No code of it is public.
Table:   the gaze results stand in the main paper, which was not available. For orientation, of the public code that the
         networks are taken from (hysts/pytorch_mpiigaze, another training setup): LeNet 6.52°, ResNet-8 5.73°
Command: kdzoo train --recipe gaze --model gaze_preact_resnet8 --data mpiigaze --out runs/teacher
         kdzoo train --recipe gaze --model gaze_lenet --data mpiigaze --out runs/baseline
Cost:    not measured yet; ``--dry-run`` estimates it for the machine at hand

Loss: −log N(gaze; μ, σ²I) of the network's three outputs; variant mse: the squared error of two outputs.
Numbers are mean angular errors in degrees over the held-out people's images.

Deviations:
    1. How σ is made positive is not said: here by softplus. How the teacher is trained is not said either: here by the
       Gaussian's likelihood, the loss that its output distribution implies.
    2. The teacher is "a 9-layer PreAct-ResNet"; here the 8 layers of the public MPIIGaze code, as no network of that
       family has 9.
    3. MixUp's α for the teacher stands in the main paper; here 1. Targets are mixed as the images are, as in MixUp's
       own definition, and the likelihood is of the mixed target.
    4. The head's pose, which the original works give to their networks, is left out: the paper trains its students on
       generated eyes too, which have none. The ``_pose`` networks take it.
    5. The order of the images is kdzoo's own, and an incomplete last batch of an epoch is dropped.

Conflicts:
    1. Split: the supplement speaks of leave-one-person-out and of 3 people held out of 15. Default: three people at
       random (``mpiigaze``, the same as ``mpiigaze@draw0``; its other two runs: ``@draw1``, ``@draw2``);
       ``mpiigaze@p00`` to ``mpiigaze@p14`` leave one person out.
    2. Whether the third output is a standard deviation or a variance: N(μ, σI) reads as a variance, the letter as a
       standard deviation. Default: a standard deviation; ``objective.scale=variance`` is the other reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from ..base.errors import RunError
from ..data import Augmentation, Mixing
from ..engine.objective import Objective, Phase, StepView, student_group
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .objectives.gaussian import gaussian_nll, read_gaussian
from .recipe import (
    DataSettings,
    EvaluationSettings,
    Paper,
    Recipe,
    Shapes,
    StudentRow,
    StudentSettings,
    TeacherSettings,
    Variant,
)
from .regression import RegressionSettings


@dataclass(frozen=True, kw_only=True)
class GazeSettings(RegressionSettings):
    """A loss of the predicted gaze.

    Attributes:
        loss: ``gaussian_nll`` (outputs: pitch, yaw, scale in radians) or ``mse`` (pitch, yaw).
    """

    loss: Literal["gaussian_nll", "mse"]

    @property
    def uses_teachers(self) -> bool:
        return False

    @property
    def uses_labels(self) -> bool:
        return True

    def build(self, shapes: Shapes) -> Objective:
        return Gaze(self)


class Gaze(Objective):
    """Terms: ``nll``, or ``mse`` (the mean over pitch and yaw); with mixed targets where the batch is mixed."""

    def __init__(self, settings: GazeSettings) -> None:
        super().__init__()
        self.settings = settings

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, outputs, targets = self.settings, step.student().logits, mixed_targets(step)
        if settings.loss == "mse":
            return {"mse": functional.mse_loss(outputs, targets)}
        return {"nll": gaussian_nll(read_gaussian(outputs, **settings.reading()), targets)}


def mixed_targets(step: StepView) -> Tensor:
    """The step's targets, mixed as its images are: (B, D)."""
    if step.targets is None:
        raise RunError("this recipe predicts numbers and the data has none", hint="use mpiigaze")
    if step.mixed_targets is None:
        return step.targets
    return step.mix_weight * step.targets + (1.0 - step.mix_weight) * step.mixed_targets


RECIPE = Recipe(
    name="gaze",
    summary="Gaze estimation with uncertainty, by Gaussian likelihood: XCL's teacher and its baselines.",
    paper=Paper(
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        authors="Hadi Pouransari, Mojan Javaheripi, Vinay Sharma, Oncel Tuzel",
        year=2021,
        url="https://arxiv.org/abs/2007.00051",
        code="none is public; the networks and the reading of MPIIGaze: hysts/pytorch_mpiigaze 2a31a6c",
    ),
    reproduces=("Supplement §A.1: the training of teacher and student; the errors stand in the main paper",),
    student=StudentSettings(
        model="gaze_preact_resnet8",  # §A.1: PreAct-ResNet; of 8 layers as in code: pytorch_mpiigaze resnet_preact.py
        init="random",  # ours: the supplement does not mention pretrained weights
    ),
    teachers=TeacherSettings(
        models=(),  # ours: labels alone
    ),
    data=DataSettings(
        dataset="mpiigaze",  # §A.1: 3 people held out, 12 trained on
        val_dataset=None,  # §A.1: the held-out people
        unlabeled=None,  # ours: labels alone
        augmentation=Augmentation(
            image_size=36,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            image_width=60,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            crop="center",  # code: pytorch_mpiigaze transforms.py: the image as it is
            scale=(0.08, 1.0),  # ours: of no effect with this crop
            crop_pct=1.0,  # code: pytorch_mpiigaze transforms.py: the image as it is
            interpolation="bilinear",  # ours: of no effect at the data's own size
            hflip_prob=0.0,  # code: pytorch_mpiigaze transforms.py: none
        ),
        mixing=Mixing(
            mixup_alpha=1.0,  # ours: not in the supplement
            mixup_prob=1.0,  # §A.1: the teacher is trained with MixUp
            cutmix_alpha=1.0,  # ours: of no effect, as there is no CutMix
            cutmix_prob=0.0,  # §A.1: MixUp alone is named
        ),
        evaluation=EvaluationSettings(
            crop_pct=1.0,  # code: pytorch_mpiigaze transforms.py: the image as it is
            interpolation="bilinear",  # ours: of no effect at the data's own size
        ),
        mean="model",  # code: pytorch_mpiigaze transforms.py: pixels over 255, nothing taken out
        std="model",  # code: pytorch_mpiigaze transforms.py: pixels over 255, nothing taken out
    ),
    training=TrainingSettings(
        epochs=40,  # §A.1
        batch_size=32,  # §A.1
        precision="fp32",  # ours: not stated
    ),
    optimizer=OptimizerSettings(
        name="adam",  # §A.1
        lr=1e-3,  # §A.1: for the ResNet
        momentum=0.9,  # §A.1: Adam's first beta
        beta2=0.999,  # ours: not stated, Adam's usual value
        nesterov=False,  # ours: of no effect with Adam
        weight_decay=1e-4,  # §A.1
        decay_norm_and_bias=True,  # ours: not stated
    ),
    schedule=ScheduleSettings(
        name="milestones",  # §A.1
        milestones=(30, 36),  # §A.1
        gamma=0.1,  # §A.1
        warmup_epochs=0.0,  # §A.1: none
    ),
    objective=GazeSettings(
        loss="gaussian_nll",  # ours: the likelihood of §A.1's output distribution
        scale="std",  # ours: §A.1's N(μ, σI) leaves it open
        positivity="softplus",  # ours: not stated
        floor=1e-4,  # ours: keeps the likelihood bounded; a thousandth of a typical error
    ),
    students=(
        StudentRow(
            name="gaze_preact_resnet8",  # §A.1
            model="gaze_preact_resnet8",  # §A.1
            teachers=(),  # ours: labels alone
            image_size=36,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            note="the teacher, with MixUp",
        ),
        StudentRow(
            name="gaze_preact_resnet8_pose",  # code: pytorch_mpiigaze resnet_preact.py
            model="gaze_preact_resnet8_pose",  # code: pytorch_mpiigaze resnet_preact.py
            teachers=(),  # ours: labels alone
            image_size=36,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            note="the teacher with the head's pose, with MixUp",
        ),
        StudentRow(
            name="gaze_lenet",  # §A.1
            model="gaze_lenet",  # §A.1
            teachers=(),  # ours: labels alone
            image_size=36,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            note="the student's baseline, without MixUp",
            overrides={
                "optimizer.lr": 1e-4,  # §A.1: for LeNet
                "data.mixing.mixup_prob": 0.0,  # ours: the baseline is plain training
            },
        ),
        StudentRow(
            name="gaze_lenet_pose",  # code: pytorch_mpiigaze lenet.py
            model="gaze_lenet_pose",  # code: pytorch_mpiigaze lenet.py
            teachers=(),  # ours: labels alone
            image_size=36,  # code: pytorch_mpiigaze resnet_preact.py, input_shape
            note="the student's baseline with the head's pose, without MixUp",
            overrides={
                "optimizer.lr": 1e-4,  # §A.1: for LeNet
                "data.mixing.mixup_prob": 0.0,  # ours: the baseline is plain training
            },
        ),
    ),
    variants=(
        Variant(
            name="mse",
            why="without uncertainty: two outputs and their squared error",
            overrides={
                "objective.loss": "mse",  # §A.1: "when estimating the uncertainty" there are three outputs, else two
            },
        ),
        Variant(
            name="mixup",
            why="MixUp for the student's baseline too",
            overrides={
                "data.mixing.mixup_prob": 1.0,  # ours: the paper compares with MixUp in its other experiments
            },
        ),
        Variant(
            name="unmixed",
            why="the teacher without MixUp",
            overrides={
                "data.mixing.mixup_prob": 0.0,  # ours: to see what MixUp does
            },
        ),
        Variant(
            name="variance",
            why="the third output is a variance: the other reading of N(μ, σI)",
            overrides={
                "objective.scale": "variance",  # §A.1
            },
        ),
    ),
)
