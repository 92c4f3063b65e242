"""A backbone learns any teacher's features on images alone: no classifier on either side, no label read.

Paper:   none; the closest reference is Contrastive Learning Rivals Masked Image Modeling in Fine-tuning via Feature
         Distillation, Y. Wei, H. Hu, Z. Xie, Z. Zhang, Y. Cao, J. Bao, D. Chen, B. Guo, 2022, arXiv 2205.14141; code:
         SwinTransformer/Feature-Distillation
Table:   none; docs/features.md says what it is for, docs/defaults.md how a value follows the data
Command: kdzoo distill --recipe features --student resnet18 --teacher runs/teacher --data photos --out runs/backbone
         kdzoo transfer cifar10 --backbone runs/backbone --baseline random --mode linear
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: pooled + dense, each 0.9 · (1 − cosine) + 0.1 · smooth L1, to the teacher's features normalised over their
channels. Pooled features are what a classifier would be given; dense ones are the map, or the grid of patch tokens,
that they are pooled from. A linear map each brings the student's to the teacher's width; both belong to the loss, learn
with the student and are not exported. The student is a backbone without a classifier: num_classes is 0.

Deviations:
    1. The paper compares the dense features alone, with smooth L1 alone; the pooled ones are compared too, since
       linear probes, kNN and retrieval read these, and the cosine is AM-RADIO's.
    2. Two maps of different size are compared at the coarser of both, per axis, each cell the mean of what it covers:
       a finer map holds all that its mean needs, a coarser one would have to be made up. The paper's have one size.
    3. Several teachers: maps of its own for each, and the mean of their losses.
    4. Length, batch, views and the cosine schedule are as in our other recipes; the paper trains for 100 to 300 epochs.
    5. The order of the images and the views' random numbers are kdzoo's own, and an incomplete last batch of an epoch
       is dropped.

Conflicts:
    1. None: there is no second source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from ..base.errors import UsageError
from ..base.metrics import FEATURE_COSINE
from ..base.setting_values import Range, Weight
from ..engine.objective import ModelOutput, Objective, ParameterGroup, Phase, StepView, student_group
from .blocks import OWN_TAUGHT
from .objectives.feature_matching import coarser, distances, places
from .recipe import Paper, Shapes, Task, TaughtSettings, TeacherReads
from .rows import at, from_rows


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(TaughtSettings):
    """Σ over pooled and dense features of weight·(cosine_weight·(1 − cosine) + smooth_l1_weight·smooth L1).

    Attributes:
        pooled_weight: Of the pooled features; 0 to leave them out.
        dense_weight: Of the dense ones; 0 to leave them out.
        cosine_weight: Of 1 − cosine.
        smooth_l1_weight: Of the smooth L1 loss.
        beta: Where the smooth L1 loss turns linear, in standard deviations of the teacher's features.
    """

    pooled_weight: Weight
    dense_weight: Weight
    cosine_weight: Weight
    smooth_l1_weight: Weight
    beta: Annotated[float, Range(0, 1000, above_low=True)]

    uses_labels = False

    @property
    def task(self) -> Task:
        return "features"

    @property
    def reads(self) -> TeacherReads:
        live = "it asks the teachers about held-out images too, and dense features take more room than the images"
        return TeacherReads(features=True, dense=self.dense_weight > 0, live=live)

    def num_outputs(self, size: int) -> int:
        return 0

    def build(self, shapes: Shapes) -> Objective:
        if shapes.num_teachers == 0:
            raise UsageError("features needs a teacher", hint="name one with --teacher REF")
        for one, other in (("pooled_weight", "dense_weight"), ("cosine_weight", "smooth_l1_weight")):
            if not getattr(self, one) + getattr(self, other) > 0:
                raise UsageError(
                    f"objective.{one} and objective.{other} are 0: nothing would be learnt", hint="leave one of them"
                )
        return Features(self, shapes)


class Features(Objective):
    """Terms: ``pooled_cosine``, ``pooled_smooth_l1``, ``dense_cosine``, ``dense_smooth_l1``; none of weight 0."""

    primary = FEATURE_COSINE

    def __init__(self, settings: FeatureSettings, shapes: Shapes) -> None:
        super().__init__()
        self.settings = settings
        self.weights = {"pooled": settings.pooled_weight, "dense": settings.dense_weight}
        self.reads_maps = "dense" if settings.dense_weight else ""
        widths = {
            "pooled": (shapes.student_features, shapes.teacher_features),
            "dense": (shapes.student_dense, shapes.teacher_dense),
        }
        self.heads = nn.ModuleDict(
            {
                part: nn.ModuleList(nn.Linear(widths[part][0], width) for width in widths[part][1])
                for part, weight in self.weights.items()
                if weight
            }
        )

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        heads = ParameterGroup("heads", list(self.heads.named_parameters()))
        return (Phase("student", (student_group(student), heads)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        return {name: values.mean() for name, values in self._weighted(step).items()}

    def measure(self, step: StepView) -> Tensor:
        weighted = self._weighted(step, only_losses=False)
        found = {part: 1.0 - weighted[f"{part}_distance"] for part in self.heads}
        loss = torch.stack([values for name, values in weighted.items() if not name.endswith("distance")]).sum(dim=0)
        absent = torch.full_like(loss, torch.nan)
        both = torch.stack(list(found.values())).mean(dim=0)
        return torch.stack([both, found.get("pooled", absent), found.get("dense", absent), loss], dim=1)

    def _weighted(self, step: StepView, *, only_losses: bool = True) -> dict[str, Tensor]:
        """The weighted terms of each image, (B,) each, and unless these alone are wanted each part's 1 − cosine."""
        settings, student = self.settings, step.student()
        teachers = [step.teacher(index) for index in range(step.num_teachers)]
        found: dict[str, Tensor] = {}
        for part in self.heads:
            pairs = [distances(own, theirs, settings.beta) for own, theirs in self._pairs(part, student, teachers)]
            cosine, smooth = (torch.stack(each).mean(dim=0) for each in zip(*pairs, strict=True))
            if settings.cosine_weight:
                found[f"{part}_cosine"] = self.weights[part] * settings.cosine_weight * cosine
            if settings.smooth_l1_weight:
                found[f"{part}_smooth_l1"] = self.weights[part] * settings.smooth_l1_weight * smooth
            if not only_losses:
                found[f"{part}_distance"] = cosine
        return found

    def _pairs(
        self, part: str, student: ModelOutput, teachers: Sequence[ModelOutput]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The student's features, mapped to a teacher's width, beside the teacher's, for each of them."""
        heads = self.heads[part]
        assert isinstance(heads, nn.ModuleList)
        for head, teacher in zip(heads, teachers, strict=True):
            if part == "pooled":
                yield head(student.features), teacher.features
                continue
            own, theirs = student.maps[-1], teacher.maps[-1]
            size = coarser(own, theirs)
            yield head(places(own, size)), places(theirs, size)


FD = "code: models/feature_distillation.py"
RECIPE = from_rows(
    name="features",
    summary="Ours: a backbone learns pooled and dense features of any teachers, classifier or not; no label is read.",
    paper=Paper(
        title="Contrastive Learning Rivals Masked Image Modeling in Fine-tuning via Feature Distillation",
        authors="Yixuan Wei, Han Hu, Zhenda Xie, Zheng Zhang, Yue Cao, Jianmin Bao, Dong Chen, Baining Guo",
        year=2022,
        url="https://arxiv.org/abs/2205.14141",
        code="SwinTransformer/Feature-Distillation 2115145",
    ),
    reproduces=("no table: our own defaults, after the paper's loss",),
    ours=True,
    objective=FeatureSettings,
    settings=(
        *OWN_TAUGHT,
        ("data.mixing.mixup_alpha", 1.0, "ours: of use with --set data.mixing.mixup_prob only"),
        ("data.mixing.mixup_prob", 0.0, "code: data/data_fd.py, a crop and a flip alone"),
        ("training.epochs", 10, "ours: follows the number of images, docs/defaults.md"),
        *at("code: config.py", {"optimizer.name": "adamw", "optimizer.momentum": 0.9, "optimizer.weight_decay": 0.05}),
        ("optimizer.nesterov", False, "ours: SGD's alone"),
        ("optimizer.lr", 5e-4, "ours: at a batch of 64, by its square root; four times that from random weights"),
        ("objective.pooled_weight", 1.0, "ours: linear probes, kNN and retrieval read the pooled features"),
        ("objective.dense_weight", 1.0, FD),
        *at("RADIO Eq. 3", {"objective.cosine_weight": 0.9, "objective.smooth_l1_weight": 0.1}),
        ("objective.beta", 2.0, f"{FD}, SmoothL1Loss"),
    ),
)
