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

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor
from torch.nn import functional

from ..engine.objective import Objective, StepView, mixed_targets
from .blocks import LABELS_ALONE
from .objectives.gaussian import gaussian_nll, read_gaussian
from .recipe import Shapes
from .regression import RegressionSettings
from .rows import columns, from_rows, sources, student, variant
from .xcl import GAZE_CODE, INPUT_SHAPE, MPIIGAZE, PAPER, TWO_OUTPUTS


@dataclass(frozen=True, kw_only=True)
class GazeSettings(RegressionSettings):
    """A loss of the predicted gaze.

    Attributes:
        loss: ``gaussian_nll`` (outputs: pitch, yaw, scale in radians) or ``mse`` (pitch, yaw).
    """

    loss: Literal["gaussian_nll", "mse"]

    uses_teachers = False
    uses_labels = True

    def build(self, shapes: Shapes) -> Objective:
        return Gaze(self)


class Gaze(Objective):
    """Terms: ``nll``, or ``mse`` (the mean over pitch and yaw); with mixed targets where the batch is mixed."""

    def __init__(self, settings: GazeSettings) -> None:
        super().__init__()
        self.settings = settings

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, outputs, targets = self.settings, step.student().logits, mixed_targets(step)
        if settings.loss == "mse":
            return {"mse": functional.mse_loss(outputs, targets)}
        return {"nll": gaussian_nll(read_gaussian(outputs, **settings.reading()), targets)}


BASELINE = (
    ("optimizer.lr", 1e-4, "§A.1: for LeNet"),
    ("data.mixing.mixup_prob", 0.0, "ours: the baseline is plain training"),
)

RECIPE = from_rows(
    name="gaze",
    summary="Gaze estimation with uncertainty, by Gaussian likelihood: XCL's teacher and its baselines.",
    paper=replace(
        PAPER, code="none is public; the networks and the reading of MPIIGaze: hysts/pytorch_mpiigaze 2a31a6c"
    ),
    reproduces=("Supplement §A.1: the training of teacher and student; the errors stand in the main paper",),
    objective=GazeSettings,
    settings=(
        *MPIIGAZE,
        *LABELS_ALONE,
        (
            "student.model",
            "gaze_preact_resnet8",
            "§A.1: PreAct-ResNet; of 8 layers as in code: pytorch_mpiigaze resnet_preact.py",
        ),
        ("data.mixing.mixup_alpha", 1.0, "ours: not in the supplement"),
        ("data.mixing.mixup_prob", 1.0, "§A.1: the teacher is trained with MixUp"),
        ("data.mixing.cutmix_alpha", 1.0, "ours: of no effect, as there is no CutMix"),
        ("data.mixing.cutmix_prob", 0.0, "§A.1: MixUp alone is named"),
        ("optimizer.lr", 1e-3, "§A.1: for the ResNet"),
        ("objective.loss", "gaussian_nll", "ours: the likelihood of §A.1's output distribution"),
        ("objective.floor", 1e-4, "ours: keeps the likelihood bounded; a thousandth of a typical error"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources("§A.1", "§A.1", "ours: labels alone", INPUT_SHAPE),
        student("gaze_preact_resnet8", "gaze_preact_resnet8", (), 36),
        ("note", "the teacher, with MixUp"),
        sources(f"{GAZE_CODE} resnet_preact.py", f"{GAZE_CODE} resnet_preact.py", "ours: labels alone", INPUT_SHAPE),
        student("gaze_preact_resnet8_pose", "gaze_preact_resnet8_pose", (), 36),
        ("note", "the teacher with the head's pose, with MixUp"),
        sources("§A.1", "§A.1", "ours: labels alone", INPUT_SHAPE),
        student("gaze_lenet", "gaze_lenet", (), 36),
        ("note", "the student's baseline, without MixUp"),
        *BASELINE,
        sources(f"{GAZE_CODE} lenet.py", f"{GAZE_CODE} lenet.py", "ours: labels alone", INPUT_SHAPE),
        student("gaze_lenet_pose", "gaze_lenet_pose", (), 36),
        ("note", "the student's baseline with the head's pose, without MixUp"),
        *BASELINE,
    ),
    variants=(
        variant("mse", "without uncertainty: two outputs and their squared error"),
        ("objective.loss", "mse", TWO_OUTPUTS),
        variant("mixup", "MixUp for the student's baseline too"),
        ("data.mixing.mixup_prob", 1.0, "ours: the paper compares with MixUp in its other experiments"),
        variant("unmixed", "the teacher without MixUp"),
        ("data.mixing.mixup_prob", 0.0, "ours: to see what MixUp does"),
        variant("variance", "the third output is a variance: the other reading of N(μ, σI)"),
        ("objective.scale", "variance", "§A.1"),
    ),
)
