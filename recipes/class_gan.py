"""A small class-conditional GAN: the generator that XCL-GAN needs, trained by the tool itself on any labelled images.

Paper:   Large Scale GAN Training for High Fidelity Natural Image Synthesis (BigGAN), A. Brock, J. Donahue, K. Simonyan,
         ICLR 2019, arXiv 1809.11096: the generator that XCL uses. Loss and optimiser: Self-Attention Generative
         Adversarial Networks (SAGAN), H. Zhang et al., ICML 2019, arXiv 1805.08318
Table:   none: far smaller than either, made so that ``xcl_gan`` runs from end to end without a network connection
Command: kdzoo train --recipe class_gan --model class_discriminator --data cifar100 --out runs/gan
Cost:    not measured yet; ``--dry-run`` estimates it

Two phases a step: the discriminator on real and generated images, then the generator against it, both with the hinge
loss. What the run exports as its model is the discriminator: its logits say which class an image looks most like, and
the accuracy that is logged is theirs. The generator lies beside it, in ``generator/`` of the run folder.

Deviations:
    1. Not a paper's recipe: BigGAN's shared, mixable class embedding in a generator of three blocks, SNGAN's
       discriminator blocks with the class projection of Miyato and Koyama, SAGAN's loss and learning rates.
    2. No attention, no orthogonal regularisation, no spectral normalisation in the generator, no average of its
       weights, no truncation: the generator that is stored is that of the last step.
    3. Length and batch size are not BigGAN's, which trained on 2048 images a step.
    4. The generator's BatchNorm statistics are those of the images that a process makes.
    5. The order of the images and all latent vectors are kdzoo's own random numbers, and an incomplete last batch of
       an epoch is dropped.

Conflicts:
    1. BigGAN takes two discriminator steps a generator step, SAGAN one with a four times higher rate. Default: SAGAN.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..base.errors import UsageError
from ..base.setting_values import Scale, Width
from ..engine.objective import ModelOutput, Objective, ParameterGroup, Phase, StepView, student_group
from ..zoo.generators import FOLDER, save_generator
from ..zoo.networks.conditional_generator import ConditionalGenerator
from .blocks import LABELS_ALONE, OTHER_SIZES, OWN_VALIDATION, PLAIN, UNMIXED
from .generated_images import Wanted, draw_wanted
from .objectives.hinge import hinge_discrimination, hinge_generation
from .recipe import ObjectiveSettings, Paper, Shapes
from .rows import at, from_rows, variant


@dataclass(frozen=True, kw_only=True)
class ClassGanSettings(ObjectiveSettings):
    """The generator, and its learning rate.

    Attributes:
        width: Channels of its last block.
        latent_features: Length of z.
        class_features: Length of a class's vector.
        generator_lr_scale: Its learning rate over the discriminator's.
    """

    width: Width
    latent_features: Width
    class_features: Width
    generator_lr_scale: Scale

    uses_teachers = False
    uses_labels = True

    @property
    def students(self) -> tuple[str, ...]:
        return ("class_discriminator", "class_discriminator_tiny")

    def build(self, shapes: Shapes) -> Objective:
        try:
            generator = ConditionalGenerator(
                shapes.num_classes, shapes.image_size, self.width, self.latent_features, self.class_features
            )
        except ValueError as error:
            raise UsageError(str(error), hint="--set data.augmentation.image_size=32") from error
        return ClassGan(self, generator, nn.Linear(shapes.student_features, 1))


class ClassGan(Objective):
    """Terms: ``hinge`` of the phase ``discriminator``, ``adversarial`` of the phase ``generator``.

    The student is the discriminator: D(x, y) = ψ(features) + logits_y.
    """

    def __init__(self, settings: ClassGanSettings, generator: ConditionalGenerator, realism: nn.Linear) -> None:
        super().__init__()
        self.settings = settings
        self.generator = generator
        self.realism = spectral_norm(realism)

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        realism = ParameterGroup("realism", list(self.realism.named_parameters()))
        scale = self.settings.generator_lr_scale
        generator = ParameterGroup("generator", list(self.generator.named_parameters()), lr_scale=scale)
        return (Phase("discriminator", (student_group(student), realism)), Phase("generator", (generator,)))

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        if step.mixed_labels is not None:
            raise UsageError("class_gan learns images as they are, not mixed ones", hint="leave data.mixing.* out")
        wanted = self._draw(phase, step)
        if phase == "discriminator":
            with torch.no_grad():
                fake = self._generate(wanted)
            real = self._score(step.student(), step.labels)
            return {"hinge": hinge_discrimination(real, self._score(step.student(fake), wanted.classes))}
        fake = self._generate(wanted)
        return {"adversarial": hinge_generation(self._score(step.student(fake), wanted.classes))}

    def export(self, folder: Path) -> None:
        """Store the generator."""
        save_generator(self.generator, folder / FOLDER, {"recipe": "class_gan"})

    def _draw(self, phase: str, step: StepView) -> Wanted:
        return draw_wanted(
            lambda sample: step.generator(f"latent/{phase}", step.epoch, sample),
            step.sample_ids.tolist(),
            latent_features=self.generator.latent_features,
            num_classes=self.generator.num_classes,
            class_mix_alpha=None,
        ).to(step.images.device)

    def _generate(self, wanted: Wanted) -> Tensor:
        images: Tensor = self.generator(wanted.latent, self.generator.class_vectors(wanted.classes))
        return images

    def _score(self, output: ModelOutput, classes: Tensor) -> Tensor:
        of_class = output.logits.gather(1, classes[:, None]).squeeze(1)
        return self.realism(output.features).squeeze(1) + of_class


RECIPE = from_rows(
    name="class_gan",
    summary="A small class-conditional GAN, whose generator makes the images that xcl_gan distils on.",
    paper=Paper(
        title="Large Scale GAN Training for High Fidelity Natural Image Synthesis",
        authors="Andrew Brock, Jeff Donahue, Karen Simonyan",
        year=2019,
        url="https://arxiv.org/abs/1809.11096",
    ),
    reproduces=("No table: it makes the generator that xcl_gan needs",),
    objective=ClassGanSettings,
    settings=(
        ("student.model", "class_discriminator", "ours: SNGAN's blocks, three of them"),
        ("student.init", "random", "ours: a GAN starts from nothing"),
        *LABELS_ALONE,
        ("data.dataset", "cifar100", "XCL §A.6"),
        OWN_VALIDATION,
        *OTHER_SIZES,
        ("data.augmentation.image_size", 32, "ours: CIFAR's own"),
        ("data.augmentation.crop", "center", "ours: what is cropped or padded would be learnt"),
        (
            "data.augmentation.hflip_prob",
            0.0,
            "ours: what is mirrored would be learnt; xcl_gan's real images are mirrored anyway",
        ),
        *at("ours: what is altered would be learnt", PLAIN),
        *at("ours: mixed images would be learnt", UNMIXED),
        *at("ours: of no use", {"data.mixing.mixup_alpha": 1.0, "data.mixing.cutmix_alpha": 1.0}),
        ("data.evaluation.crop_pct", 1.0, "ours: the whole image"),
        *at("ours: the usual range of a GAN, -1 to 1", {"data.mean": (0.5, 0.5, 0.5), "data.std": (0.5, 0.5, 0.5)}),
        ("training.epochs", 200, "ours: 156,000 steps on CIFAR-100"),
        ("training.precision", "fp32", "ours: the safe choice"),
        *at(
            "code: pfnet-research/sngan_projection configs/sn_cifar10_conditional.yml",
            {"training.batch_size": 64, "optimizer.beta2": 0.9, "objective.latent_features": 128},
        ),
        ("optimizer.name", "adam", "code: brain-research/self-attention-gan model.py"),
        ("optimizer.lr", 4e-4, "code: brain-research/self-attention-gan model.py, the discriminator's"),
        ("optimizer.momentum", 0.0, "code: brain-research/self-attention-gan model.py, β1"),
        ("optimizer.nesterov", False, "ours: Adam has none"),
        ("optimizer.decay_norm_and_bias", True, "ours: of no effect at decay 0"),
        *at(
            "ours: none in SAGAN's code",
            {"optimizer.weight_decay": 0.0, "schedule.name": "constant", "schedule.warmup_epochs": 0.0},
        ),
        *at("ours: of no use", {"schedule.milestones": (), "schedule.gamma": 0.1}),
        ("objective.width", 64, "ours: small enough for a CPU"),
        ("objective.class_features", 128, "code: ajbrock/BigGAN-PyTorch scripts/launch_BigGAN_bs256x8.sh"),
        ("objective.generator_lr_scale", 0.25, "code: brain-research/self-attention-gan model.py, 1e-4 against 4e-4"),
    ),
    variants=(
        variant(
            "tiny", "for a few thousand small images of few classes, on a CPU; with --model class_discriminator_tiny"
        ),
        *at(
            "ours: digits need no more",
            {
                "student.model": "class_discriminator_tiny",
                "objective.width": 16,
                "objective.latent_features": 32,
                "objective.class_features": 32,
            },
        ),
    ),
)
