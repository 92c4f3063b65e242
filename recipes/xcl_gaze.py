"""XCL for regression: the student's Gaussian learns the teacher's on mixed eye images; no gaze is read.

Paper:   Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution (XCL), H. Pouransari, M. Javaheripi,
         V. Sharma, O. Tuzel, 2021, arXiv 2007.00051; read: its supplement and abstract. No code of it is public.
Table:   the gaze results stand in the main paper, which was not available
Command: kdzoo train --recipe gaze --model gaze_preact_resnet8 --data mpiigaze --out runs/teacher
         kdzoo distill --recipe xcl_gaze --student gaze_lenet --teacher runs/teacher --data mpiigaze --out runs/student
Cost:    not measured yet; ``--dry-run`` estimates it for the machine at hand

Loss: KL(teacher ‖ student) of their Gaussians in closed form, on the images that the student sees, mixed as they are.
``--unlabeled FOLDER`` adds eye images from elsewhere, such as generated ones, to the transfer set; the teacher labels
them as it labels all.

Deviations:
    1. The teacher has to be trained first (recipe ``gaze``): the paper's was never published.
    2. How eye images are mixed for the student stands in the main paper. Here: MixUp in every batch, α = 1, as MixUp is
       what the supplement names for the teacher. The variants cutmix and either are the other ways of XCL-Mix.
    3. The paper's XCL-GAN adds about 485,000 generated eyes (a conditional SimGAN, not public) to the transfer set.
       kdzoo has no such generator; ``--unlabeled`` takes its images, or any others.
    4. How σ is made positive is not said: here by softplus. A teacher's outputs are read as its own run wrote down.
    5. How several teachers' answers would be joined is not said: here the Gaussian with the mean and the variance of
       their mixture.
    6. The head's pose is left out, as in ``gaze``; where a ``_pose`` network takes it, it is mixed as the images are.
    7. The order of the images is kdzoo's own, and an incomplete last batch of an epoch is dropped.

Conflicts:
    1. Split: as in ``gaze``: leave-one-person-out (``mpiigaze@p00``, …) and 3 people held out of 15 (``mpiigaze``,
       ``mpiigaze@draw1``, …) stand side by side in the supplement.
    2. Whether the third output is a standard deviation or a variance: as in ``gaze``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ..base.errors import TeacherError, UsageError
from ..engine.objective import Objective, StepView
from .blocks import SAME_VIEW
from .objectives.gaussian import gaussian_kl, mean_gaussian, read_gaussian
from .recipe import Shapes, TaughtSettings
from .regression import RegressionSettings
from .rows import at, columns, from_rows, sources, student, variant
from .xcl import GAZE_CODE, INPUT_SHAPE, MPIIGAZE, PAPER, TWO_OUTPUTS


@dataclass(frozen=True, kw_only=True)
class XclGazeSettings(RegressionSettings, TaughtSettings):
    """A distance between the teacher's answer and the student's.

    Attributes:
        loss: ``gaussian_kl`` (outputs: pitch, yaw, scale in radians) or ``mse`` between the predicted gazes.
    """

    loss: Literal["gaussian_kl", "mse"]

    uses_labels = False

    def build(self, shapes: Shapes) -> Objective:
        readings = []
        for number, outputs in enumerate(shapes.teacher_outputs, start=1):
            if self.loss == "gaussian_kl" and outputs != shapes.num_targets + 1:
                raise UsageError(
                    f"teacher {number} has {outputs} outputs and no uncertainty among them, its Gaussian needs "
                    f"{shapes.num_targets + 1}",
                    hint="train it with the recipe gaze, or learn its gaze alone with --variant mse",
                )
        for number, form in enumerate(shapes.teacher_forms, start=1):
            readings.append(_reading(form, self.reading(), number))
        return XclGaze(self, tuple(readings), shapes.num_targets)


def _reading(form: Mapping[str, Any], default: Mapping[str, Any], number: int) -> dict[str, Any]:
    """How a teacher's outputs are read: as its folder says, otherwise as the student's.

    Raises:
        TeacherError: Its folder says something that makes no sense.
    """
    if form.get("form") != "gaussian":
        return dict(default)
    reading = {name: form.get(name, value) for name, value in default.items()}
    floor = reading["floor"]
    sensible = reading["scale"] in ("std", "variance") and reading["positivity"] in ("softplus", "exp")
    if not sensible or isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 <= floor < 1:
        raise TeacherError(
            f"teacher {number} says of its outputs what makes no sense: {dict(form)}", hint="train it with recipe gaze"
        )
    return reading


class XclGaze(Objective):
    """Terms: ``kl``, or ``mse``, with the teachers' answer to the very images that the student sees.

    Args:
        settings: The loss.
        readings: How each teacher's outputs are read.
        num_targets: D, the outputs that are the gaze.
    """

    def __init__(self, settings: XclGazeSettings, readings: tuple[dict[str, Any], ...], num_targets: int) -> None:
        super().__init__()
        self.settings, self.readings, self.num_targets = settings, readings, num_targets

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        answers, outputs = step.teachers().logits, step.student().logits
        if self.settings.loss == "mse":
            gaze = torch.stack([answer[:, : self.num_targets] for answer in answers]).mean(dim=0)
            return {"mse": functional.mse_loss(outputs, gaze)}
        teachers = [read_gaussian(answer, **how) for answer, how in zip(answers, self.readings, strict=True)]
        target = teachers[0] if len(teachers) == 1 else mean_gaussian(teachers)
        return {"kl": gaussian_kl(read_gaussian(outputs, **self.settings.reading()), target)}


RECIPE = from_rows(
    name="xcl_gaze",
    summary="XCL for regression: the student's Gaussian learns the teacher's on mixed eye images; no gaze is read.",
    paper=replace(
        PAPER, code="none is public; the networks and the reading of MPIIGaze: hysts/pytorch_mpiigaze 2a31a6c"
    ),
    reproduces=("Supplement §A.1: the training of teacher and student; the errors stand in the main paper",),
    objective=XclGazeSettings,
    settings=(
        *MPIIGAZE,
        ("student.model", "gaze_lenet", "§A.1: a 4-layer LeNet"),
        ("teachers.models", (), "ours: the paper's was never published"),
        SAME_VIEW,
        ("data.unlabeled", None, "§A.6: XCL-GAN alone adds images"),
        *at(
            "ours: not in the supplement",
            {"data.mixing.mixup_alpha": 1.0, "data.mixing.cutmix_alpha": 1.0, "data.mixing.cutmix_prob": 0.0},
        ),
        ("data.mixing.mixup_prob", 1.0, "ours: not in the supplement, which trains the teacher with MixUp (§A.1)"),
        ("optimizer.lr", 1e-4, "§A.1: for LeNet"),
        ("objective.loss", "gaussian_kl", "ours: the divergence between §A.1's isotropic Gaussians, in closed form"),
        ("objective.floor", 1e-4, "ours: keeps the divergence bounded; a thousandth of a typical error"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources("§A.1", "§A.1", "ours: the paper's was never published", INPUT_SHAPE),
        student("gaze_lenet", "gaze_lenet", (), 36),
        ("note", "its teacher: gaze_preact_resnet8, by the recipe gaze"),
        sources(f"{GAZE_CODE} lenet.py", f"{GAZE_CODE} lenet.py", "ours: the paper's was never published", INPUT_SHAPE),
        student("gaze_lenet_pose", "gaze_lenet_pose", (), 36),
        ("note", "with the head's pose; its teacher may take it or not"),
    ),
    variants=(
        variant("kd", "knowledge distillation: the images as they are, nothing mixed"),
        ("data.mixing.mixup_prob", 0.0, "ours: distillation on the images as they are, as in Supp. Table 4"),
        variant("mse", "without uncertainty: the student learns the teacher's gaze alone, by squared error"),
        ("objective.loss", "mse", TWO_OUTPUTS),
        variant("cutmix", "CutMix in every batch in place of MixUp"),
        *at("ours: one of the two ways of XCL-Mix", {"data.mixing.mixup_prob": 0.0, "data.mixing.cutmix_prob": 1.0}),
        variant("either", "MixUp or CutMix with equal chance, as the recipe xcl_mix has it"),
        *at("ours: as in xcl_mix", {"data.mixing.mixup_prob": 0.5, "data.mixing.cutmix_prob": 0.5}),
        variant("variance", "the third output is a variance: the other reading of N(μ, σI)"),
        ("objective.scale", "variance", "§A.1"),
    ),
)
