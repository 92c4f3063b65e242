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
from ..data import Augmentation, Mixing
from ..engine.objective import ModelOutput, Objective, ParameterGroup, Phase, StepView, student_group
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ..zoo.generators import FOLDER, save_generator
from ..zoo.networks.conditional_generator import ConditionalGenerator
from .generated_images import Wanted, draw_wanted
from .objectives.hinge import hinge_discrimination, hinge_generation
from .recipe import (
    DataSettings,
    EvaluationSettings,
    ObjectiveSettings,
    Paper,
    Recipe,
    Shapes,
    StudentSettings,
    TeacherSettings,
    Variant,
)


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

    @property
    def uses_teachers(self) -> bool:
        return False

    @property
    def uses_labels(self) -> bool:
        return True

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


RECIPE = Recipe(
    name="class_gan",
    summary="A small class-conditional GAN, whose generator makes the images that xcl_gan distils on.",
    paper=Paper(
        title="Large Scale GAN Training for High Fidelity Natural Image Synthesis",
        authors="Andrew Brock, Jeff Donahue, Karen Simonyan",
        year=2019,
        url="https://arxiv.org/abs/1809.11096",
    ),
    reproduces=("No table: it makes the generator that xcl_gan needs",),
    student=StudentSettings(
        model="class_discriminator",  # ours: SNGAN's blocks, three of them
        init="random",  # ours: a GAN starts from nothing
    ),
    teachers=TeacherSettings(
        models=(),  # ours: labels alone
    ),
    data=DataSettings(
        dataset="cifar100",  # XCL §A.6
        val_dataset=None,  # ours: the data set's own validation split
        unlabeled=None,  # ours: labels alone
        augmentation=Augmentation(
            image_size=32,  # ours: CIFAR's own
            crop="center",  # ours: what is cropped or padded would be learnt
            interpolation="bilinear",  # ours: of use for images of another size only
            hflip_prob=0.0,  # ours: what is mirrored would be learnt; xcl_gan's real images are mirrored anyway
            policy=None,  # ours: what is altered would be learnt
            color_jitter=None,  # ours: what is altered would be learnt
            lighting_std=0.0,  # ours: what is altered would be learnt
            erase_prob=0.0,  # ours: what is altered would be learnt
        ),
        mixing=Mixing(
            mixup_alpha=1.0,  # ours: of no use
            mixup_prob=0.0,  # ours: mixed images would be learnt
            cutmix_alpha=1.0,  # ours: of no use
            cutmix_prob=0.0,  # ours: mixed images would be learnt
        ),
        evaluation=EvaluationSettings(
            crop_pct=1.0,  # ours: the whole image
            interpolation="bilinear",  # ours: of use for images of another size only
        ),
        mean=(0.5, 0.5, 0.5),  # ours: the usual range of a GAN, -1 to 1
        std=(0.5, 0.5, 0.5),  # ours: the usual range of a GAN, -1 to 1
    ),
    training=TrainingSettings(
        epochs=200,  # ours: 156,000 steps on CIFAR-100
        batch_size=64,  # code: pfnet-research/sngan_projection configs/sn_cifar10_conditional.yml
        precision="fp32",  # ours: the safe choice
    ),
    optimizer=OptimizerSettings(
        name="adam",  # code: brain-research/self-attention-gan model.py
        lr=4e-4,  # code: brain-research/self-attention-gan model.py, the discriminator's
        momentum=0.0,  # code: brain-research/self-attention-gan model.py, β1
        beta2=0.9,  # code: pfnet-research/sngan_projection configs/sn_cifar10_conditional.yml
        nesterov=False,  # ours: Adam has none
        weight_decay=0.0,  # ours: none in SAGAN's code
        decay_norm_and_bias=True,  # ours: of no effect at decay 0
    ),
    schedule=ScheduleSettings(
        name="constant",  # ours: none in SAGAN's code
        milestones=(),  # ours: of no use
        gamma=0.1,  # ours: of no use
        warmup_epochs=0.0,  # ours: none in SAGAN's code
    ),
    objective=ClassGanSettings(
        width=64,  # ours: small enough for a CPU
        latent_features=128,  # code: pfnet-research/sngan_projection configs/sn_cifar10_conditional.yml
        class_features=128,  # code: ajbrock/BigGAN-PyTorch scripts/launch_BigGAN_bs256x8.sh
        generator_lr_scale=0.25,  # code: brain-research/self-attention-gan model.py, 1e-4 against 4e-4
    ),
    variants=(
        Variant(
            name="tiny",
            why="for a few thousand small images of few classes, on a CPU; with --model class_discriminator_tiny",
            overrides={
                "student.model": "class_discriminator_tiny",  # ours: digits need no more
                "objective.width": 16,  # ours: digits need no more
                "objective.latent_features": 32,  # ours: digits need no more
                "objective.class_features": 32,  # ours: digits need no more
            },
        ),
    ),
)
