"""MEAL: at each batch another teacher of the ensemble is imitated, block by block, beside one discriminator a block.

Paper:   MEAL: Multi-Model Ensemble via Adversarial Learning, Z. Shen, Z. He, X. Xue, AAAI 2019, arXiv 1812.02425;
         code: AaronHeee/MEAL
Table:   the README's ResNet-50 on ImageNet, 78.21 top-1, 94.01 top-5; its code and settings were not released, this
         recipe is the released one for CIFAR-10
Command: kdzoo distill --recipe meal_v1 --student cifar_resnet18 --teacher runs/a --teacher runs/b --data cifar10
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: similarity_0, … + discriminator_0, …. Each of the last stages' outputs is pooled to a fixed length, the logits are
taken as they are; each is compared with the teacher's by soft cross-entropy, and told apart by a discriminator of its
own. Nothing is detached or reversed. One teacher is drawn for each batch.

Deviations:
    1. Teachers are in eval mode; the released code leaves them in training mode unless told otherwise, so that their
       BatchNorm statistics move.
    2. Stages are what timm calls a network's feature maps, the last ones of it; the released code names its own.
    3. The released scheduler is stepped before the optimiser, so that its rates fall an epoch early.
    4. Which teacher is drawn, augmentation and the order of the images come from kdzoo's own random numbers, and an
       incomplete last batch of an epoch is dropped.

Conflicts:
    1. README, one teacher: five blocks, weighted 0.001 to 1. README, ensemble: the logits alone. The paper compares
       blocks. Default: five blocks; variant logits_only.
    2. The paper's training is adversarial; the released code has a gradient reversal and leaves it off. Default: off;
       variant reversed.
    3. With several teachers the README stretches the schedule by up to 2; the code does so for one student only.
       Default: 350 epochs; variant twice_as_long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn

from ..base.errors import UsageError
from ..base.setting_values import Range, Scale
from ..engine.objective import ModelOutput, Objective, ParameterGroup, Phase, StepView, student_group
from ..zoo import stage_names
from .blocks import CIFAR_VIEWS, MIXING_ON_REQUEST, OTHER_SIZES, OWN_VALIDATION, PLAIN, SAME_VIEW, UNMIXED
from .objectives.discriminator import reverse_gradient
from .objectives.similarity import BlockDiscriminators, Similarity, pool_block, similarity_terms
from .recipe import Paper, Shapes, TaughtSettings, TeacherReads
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class MealV1Settings(TaughtSettings):
    """Σ_k γ_k·similarity of block k + Σ_k η_k·discriminator of block k; the last block is the logits.

    Attributes:
        block_lengths: To what lengths the outputs of the last stages are pooled, in the network's order; empty to
            compare the logits alone.
        pooling: How they are pooled.
        similarity: How a block is compared.
        similarity_weights: γ, one a stage and one for the logits.
        discriminators: ``published`` (both sides lower its loss), ``reversed`` (the student's gradient is negated) or
            ``none``.
        discriminator_weights: η, likewise.
        discriminator_lr_scale: The discriminators' learning rate over the student's.
    """

    block_lengths: Annotated[tuple[int, ...], Range(1, 10**7)]
    pooling: Literal["avg", "max"]
    similarity: Similarity
    similarity_weights: Annotated[tuple[float, ...], Range(0, 1e6)]
    discriminators: Literal["published", "reversed", "none"]
    discriminator_weights: Annotated[tuple[float, ...], Range(0, 1e6)]
    discriminator_lr_scale: Scale

    uses_labels = False

    @property
    def reads(self) -> TeacherReads:
        return TeacherReads(live="it reads the outputs of the teachers' stages" if self.block_lengths else "")

    def build(self, shapes: Shapes) -> Objective:
        blocks = len(self.block_lengths) + 1
        for name, weights in (
            ("similarity_weights", self.similarity_weights),
            ("discriminator_weights", self.discriminator_weights),
        ):
            if len(weights) != blocks:
                raise UsageError(
                    f"objective.{name} has {len(weights)} values for {blocks} blocks ({blocks - 1} stages, the logits)",
                    hint=f"give {blocks} values, or change objective.block_lengths",
                )
        if self.discriminators == "none":
            return MealV1(self, None)
        lengths = (*self.block_lengths, shapes.num_classes)
        if min(lengths) < 4:
            raise UsageError(
                f"a discriminator needs blocks of length 4 or more, got {lengths}",
                hint="--set objective.discriminators=none",
            )
        return MealV1(self, BlockDiscriminators(lengths))


class MealV1(Objective):
    """Terms: ``similarity_k`` and ``discriminator_k`` of each block."""

    def __init__(self, settings: MealV1Settings, discriminators: BlockDiscriminators | None) -> None:
        super().__init__()
        self.settings, self.discriminators = settings, discriminators
        self.reads_maps = "stages" if settings.block_lengths else ""

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        wanted = len(self.settings.block_lengths)
        if wanted and len(stage_names(student)) < wanted:
            raise _too_few("the student", len(stage_names(student)), wanted)
        groups = [student_group(student)]
        if self.discriminators is not None:
            own = list(self.discriminators.named_parameters())
            groups.append(ParameterGroup("discriminators", own, lr_scale=self.settings.discriminator_lr_scale))
        return (Phase("student", tuple(groups)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        settings, student, teacher = self.settings, step.student(), step.teacher(self.drawn(step))
        own, theirs = self._blocks(student, "the student"), self._blocks(teacher, "a teacher")
        terms = similarity_terms(own, theirs, settings.similarity_weights, settings.similarity)
        if self.discriminators is not None:
            if settings.discriminators == "reversed":
                own = [reverse_gradient(block) for block in own]
            terms.update(self.discriminators.terms(own, theirs, settings.discriminator_weights))
        return terms

    def drawn(self, step: StepView) -> int:
        """The teacher of this batch, each as likely as the others; the same in every process and part."""
        return int(step.generator("teacher", step.step).integers(step.num_teachers))

    def _blocks(self, answer: ModelOutput, whose: str) -> list[Tensor]:
        settings, wanted = self.settings, len(self.settings.block_lengths)
        maps = answer.maps[len(answer.maps) - wanted :] if wanted <= len(answer.maps) else ()
        if len(maps) < wanted:
            raise _too_few(whose, len(answer.maps), wanted)
        if any(item.ndim != 4 for item in maps):
            raise UsageError(f"{whose} is no convolutional network", hint="use variant logits_only")
        pooled = zip(maps, settings.block_lengths, strict=True)
        return [*(pool_block(item, length, pooling=settings.pooling) for item, length in pooled), answer.logits]


def _too_few(whose: str, stages: int, wanted: int) -> UsageError:
    return UsageError(
        f"{whose} has {stages} stages, objective.block_lengths names {wanted}",
        hint="use variant three_stages or logits_only",
    )


TEACHERS = ("cifar_resnet18", "cifar_preact_resnet18")

RECIPE = from_rows(
    name="meal_v1",
    summary="A teacher drawn for each batch, imitated block by block beside a discriminator a block; no labels.",
    paper=Paper(
        title="MEAL: Multi-Model Ensemble via Adversarial Learning",
        authors="Zhiqiang Shen, Zhankui He, Xiangyang Xue",
        year=2019,
        url="https://arxiv.org/abs/1812.02425",
        code="AaronHeee/MEAL fd4a23a",
    ),
    reproduces=("the released training on CIFAR-10; README: ResNet-50 on ImageNet 78.21 top-1, 94.01 top-5",),
    objective=MealV1Settings,
    settings=(
        ("student.model", "cifar_resnet18", "code: models/resnet.py"),
        ("teachers.models", TEACHERS, "code: README, two of its five"),
        SAME_VIEW,
        OWN_VALIDATION,
        *OTHER_SIZES,
        *MIXING_ON_REQUEST,
        *at(
            "code: main.py",
            CIFAR_VIEWS,
            PLAIN,
            UNMIXED,
            {
                "student.init": "random",
                "data.dataset": "cifar10",
                "data.unlabeled": None,
                "data.mean": (0.4914, 0.4822, 0.4465),
                "data.std": (0.2023, 0.1994, 0.2010),
                "training.batch_size": 128,
                "optimizer.name": "sgd",
                "optimizer.momentum": 0.9,
                "optimizer.nesterov": False,
                "optimizer.weight_decay": 5e-4,
                "optimizer.decay_norm_and_bias": True,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        ("training.precision", "fp32", "code: main.py, nothing is cast"),
        *at(
            "code: README",
            {
                "training.epochs": 350,
                "optimizer.lr": 0.1,
                "schedule.name": "milestones",
                "schedule.milestones": (150, 250),
                "schedule.gamma": 0.1,
            },
        ),
        ("objective.block_lengths", (10000, 5000, 1000, 500), "code: README, out_dims"),
        ("objective.pooling", "avg", "code: README, pool_out"),
        ("objective.similarity", "cross_entropy", "code: README, loss"),
        ("objective.similarity_weights", (0.001, 0.01, 0.05, 0.1, 1.0), "code: README, gamma"),
        ("objective.discriminators", "published", "code: main.py, adv and grl"),
        ("objective.discriminator_weights", (1.0, 1.0, 1.0, 1.0, 1.0), "code: README, eta"),
        ("objective.discriminator_lr_scale", 0.01, "code: README, d_lr 1e-3 beside lr 0.1"),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources("code: models/resnet.py", "code: models/resnet.py", "code: README, two of its five", "code: main.py"),
        student("cifar_resnet18", "cifar_resnet18", TEACHERS, 32),
        ("note", "on CIFAR-10; the released teachers are not used"),
    ),
    variants=(
        variant("logits_only", "the README's command for an ensemble: the logits alone are compared"),
        ("objective.block_lengths", (), "code: README, out_layer [-1]"),
        ("objective.similarity_weights", (1.0,), "code: README, gamma"),
        ("objective.discriminator_weights", (1.0,), "code: README, eta"),
        ("training.batch_size", 256, "code: README"),
        variant("three_stages", "networks with three stages, as CIFAR's ResNet-20 to -110"),
        ("objective.block_lengths", (5000, 1000, 500), "ours: the last three of the README's"),
        ("objective.similarity_weights", (0.01, 0.05, 0.1, 1.0), "ours: the last of the README's"),
        ("objective.discriminator_weights", (1.0, 1.0, 1.0, 1.0), "code: README, eta"),
        variant("reversed", "the student against the discriminators, by gradient reversal"),
        ("objective.discriminators", "reversed", "code: main.py, grl"),
        variant("twice_as_long", "the README's schedule for many teachers"),
        *at("code: README, a = 2", {"training.epochs": 700, "schedule.milestones": (300, 500)}),
    ),
)
