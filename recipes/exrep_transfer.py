"""ExRep, stage 2: a stored input distiller varies a few images of another data set while a classifier learns it.

Paper:   Compensating for the Lack of Extra Training Data by Learning Extra Representation (ExRep), H. Jeon, S. Han,
         S. Lee, S. S. Woo, ACCV 2020, §3.5; code: cutz-j/ExRep, notebook Train-C10-ExRep (before ba54179)
Table:   none: the CIFAR-10 results stand in a supplement that is not public (the text says "Table ??")
Command: kdzoo train --recipe exrep_transfer --model cifar_pyramidnet272_a200 --set objective.distiller_run=runs/exrep
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: hard_label alone. Each image goes with probability 0.01 through the distiller of an ExRep run: enlarged to the
distiller's size, x + G(x), made small again. The distiller learns nothing here, and is not used in evaluation.

Deviations:
    1. The notebook's distiller has an image size of 224; here it is the one that the named run has trained (240 for
       EfficientNet-B1). It is convolutional, so that either reads 224 px.
    2. Which images pass, augmentation and the order of the images come from kdzoo's own random numbers, and an
       incomplete last batch of an epoch is dropped.
    3. Images are enlarged and made small with antialiasing.
    4. A run folder gives its newest checkpoint's distiller; the notebook loads the best one's. A checkpoint can be
       named: RUN/checkpoints/best.safetensors.

Conflicts:
    1. The notebook steps a cosine over 375 epochs and a tenfold fall every 150 epochs on the same optimiser, so that
       the rate is their product. Default: the product; variant cosine_only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..base.setting_values import Fraction, Pixels
from ..engine.objective import Objective, StepView
from ..engine.teachers import resize
from .blocks import CIFAR_VIEWS, LABELS_ALONE, MIXING_ON_REQUEST, OTHER_SIZES, OWN_VALIDATION, PLAIN, UNMIXED
from .exrep import PAPER
from .input_distiller import load_distiller
from .objectives.hard_labels import mixed_cross_entropy
from .objectives.input_distiller import InputDistiller, distil
from .recipe import ObjectiveSettings, Shapes
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class DistilledViewsSettings(ObjectiveSettings):
    """Cross-entropy with the labels, on images of which a few went through a stored input distiller.

    Attributes:
        distiller_run: The run folder of an ``exrep`` run, or one of its checkpoints.
        distiller_size: To how many pixels an image is enlarged for the distiller.
        pass_prob: Probability that an image goes through it.
    """

    distiller_run: str | None
    distiller_size: Pixels
    pass_prob: Fraction

    uses_teachers = False
    uses_labels = True

    def build(self, shapes: Shapes) -> Objective:
        return DistilledViews(self, shapes, load_distiller(self.distiller_run))


class DistilledViews(Objective):
    """Terms: ``hard_label``."""

    def __init__(self, settings: DistilledViewsSettings, shapes: Shapes, distiller: InputDistiller) -> None:
        super().__init__()
        self.settings, self.mean, self.std = settings, shapes.mean, shapes.std
        self.distiller = distiller.requires_grad_(False)

    def set_modes(self, student: nn.Module) -> None:
        self.distiller.eval()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        logits = step.student(self.images(step)).logits
        return {"hard_label": mixed_cross_entropy(logits, step.labels, step.mixed_labels, step.mix_weight)}

    @torch.no_grad()
    def images(self, step: StepView) -> Tensor:
        """The step's images, a few of them passed through the distiller; (B, 3, H, W)."""
        chosen = [
            position
            for position, sample in enumerate(step.sample_ids.tolist())
            if step.generator("pass", step.epoch, sample).random() < self.settings.pass_prob
        ]
        if not chosen:
            return step.images
        images, size = step.images.clone(), step.images.shape[-1]
        large = resize(images[chosen], self.settings.distiller_size, "bicubic")
        images[chosen] = resize(distil(self.distiller, large, self.mean, self.std), size, "bicubic")
        return images


RECIPE = from_rows(
    name="exrep_transfer",
    summary="Training on labels while a stored ExRep input distiller varies a few of the images (ExRep's stage 2).",
    paper=replace(PAPER, code="cutz-j/ExRep, notebook Train-C10-ExRep at ba54179~1"),
    reproduces=("§3.5: PyramidNet-272 on CIFAR-10; the paper's figures stand in a supplement that is not public",),
    objective=DistilledViewsSettings,
    settings=(
        *LABELS_ALONE,
        OWN_VALIDATION,
        *OTHER_SIZES,
        *MIXING_ON_REQUEST,
        *at(
            "code: Train-C10-ExRep.ipynb",
            CIFAR_VIEWS,
            PLAIN,
            UNMIXED,
            {
                "student.model": "cifar_pyramidnet272_a200",
                "student.init": "random",
                "data.dataset": "cifar10",
                "data.unlabeled": None,
                "data.mean": (0.49137, 0.48235, 0.44667),
                "data.std": (0.24706, 0.24353, 0.26157),
                "training.epochs": 375,
                "training.batch_size": 150,
                "training.precision": "fp32",
                "optimizer.name": "sgd",
                "optimizer.lr": 0.1,
                "optimizer.momentum": 0.9,
                "optimizer.nesterov": True,
                "optimizer.weight_decay": 1e-4,
                "optimizer.decay_norm_and_bias": True,
                "schedule.gamma": 0.1,
                "schedule.warmup_epochs": 0.0,
                "schedule.update": "epoch",
                "objective.distiller_size": 224,
                "objective.pass_prob": 0.01,
            },
        ),
        ("schedule.name", "cosine_milestones", "code: Train-C10-ExRep.ipynb, both are stepped"),
        ("schedule.milestones", (150, 300), "code: Train-C10-ExRep.ipynb, StepLR(150)"),
        ("objective.distiller_run", None, "ours: the run to take it from must be named"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources(
            "code: Train-C10-ExRep.ipynb",
            "code: Train-C10-ExRep.ipynb",
            "ours: labels alone",
            "code: Train-C10-ExRep.ipynb",
        ),
        student("cifar_pyramidnet272_a200", "cifar_pyramidnet272_a200", (), 32),
        ("note", "on CIFAR-10"),
    ),
    variants=(
        variant("cosine_only", "one schedule in place of the notebook's two"),
        ("schedule.name", "cosine", "ours: the one of the two that spans the run"),
    ),
)
