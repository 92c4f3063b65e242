"""XCL-GAN: the student learns the teacher's prediction on generated images, between two classes each, beside real ones.

Paper:   Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution (XCL), H. Pouransari, M. Javaheripi,
         V. Sharma, O. Tuzel, 2021, arXiv 2007.00051; read: its supplement and abstract. No code of it is public.
Table:   none: the results of XCL-GAN stand in the main paper, which was not available
Command: kdzoo train --recipe class_gan --model class_discriminator --data cifar100 --out runs/gan
         kdzoo train --variant cifar --variant cutmix --model cifar_resnet18 --data cifar100 --out runs/teacher
         kdzoo distill --recipe xcl_gan --teacher runs/teacher --set objective.generator=runs/gan --out runs/xcl_gan
Cost:    not measured yet; ``--dry-run`` estimates it

Loss: KL(mean teacher probabilities ‖ student) at temperature 1; half of each batch is generated, half is real; no label
is read. An image is generated from v = λ v_i + (1 − λ) v_j, the mixed vectors of two classes. ``online``: new images at
each step from a stored generator. ``offline``: a transfer set made before (``kdzoo data generate RUN FOLDER``, or
images from any other generator), given with --unlabeled; each batch is drawn half from it.

Deviations:
    1. The paper's generator is BigGAN. It is not included: a small one that ``class_gan`` trains takes its place.
       Images of BigGAN made elsewhere (for ImageNet: biggan-deep-128 of pytorch-pretrained-biggan) can be used offline.
    2. The law of λ stands in the main paper; here it is uniform (``class_mix_alpha=1``).
    3. An epoch has as many steps as one without generated images and shows half of the real ones; what an epoch is
       beside a transfer set is not stated. Online, every second image of a batch is replaced; offline, every second
       one is drawn from the stored set, real and stored images each in permutations of their own, one after another.
    4. Offline, the teacher labels the stored images as the student sees them, cropped and mirrored; the paper stores
       its labels once. A stored image that comes twice in an epoch (fewer are stored than half of the real ones) is
       cropped and mirrored alike both times.
    5. The teachers of the paper's XCL-GAN students stand in the main paper: name them with --teacher. How an
       ensemble's answers are joined is not in the supplement: here the mean of probabilities.
    6. Generated images are neither cropped nor mirrored online, and are resized where the student's size is another.
       Augmentation and order come from kdzoo's own random numbers; an incomplete last batch of an epoch is dropped.

Conflicts:
    1. The supplement says that half of the samples are generated for ImageNet (offline) and only that "a new set of
       images" is generated for CIFAR-100 (online). Default: half in both (``generated_share``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ..base.errors import UsageError
from ..base.setting_values import Fraction, Range, Temperature
from ..engine.objective import Objective, StepView
from ..engine.teachers import resize
from ..zoo.generators import load_generator
from ..zoo.networks.conditional_generator import ConditionalGenerator
from .blocks import (
    CIFAR_VIEWS,
    IMAGENET_COLOURS,
    MIXING_ON_REQUEST,
    OTHER_SIZES,
    OWN_VALIDATION,
    PLAIN,
    SAME_VIEW,
    TORCHVISION_CROP,
    UNMIXED,
)
from .generated_images import draw_wanted
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import Shapes, TaughtSettings, TeacherReads
from .rows import at, columns, from_rows, sources, student, variant
from .xcl import CIFAR_RESNET18, GLUON, NOT_STATED, PAPER, SQUARED_TEMPERATURE


@dataclass(frozen=True, kw_only=True)
class XclGanSettings(TaughtSettings):
    """KL with the teachers' answers, on real and on generated images.

    Attributes:
        generator: The run folder of ``class_gan``, or a generator's own folder (``online``).
        mode: ``online`` (new images at each step) or ``offline`` (the images given with --unlabeled).
        generated_share: Share of each batch that is generated.
        mixed_classes: Whether images are generated between two classes (``online``).
        class_mix_alpha: Both parameters of λ's Beta distribution.
        temperature: T.
        squared_temperature: Whether the loss is multiplied by T².
    """

    generator: str | None
    mode: Literal["online", "offline"]
    generated_share: Fraction
    mixed_classes: bool
    class_mix_alpha: Annotated[float, Range(0, 1000, above_low=True)]
    temperature: Temperature
    squared_temperature: bool

    uses_labels = False

    @property
    def reads(self) -> TeacherReads:
        online = self.mode == "online"
        return TeacherReads(
            live="it makes images as it goes, and asks about these" if online else "", made_images=online
        )

    @property
    def unlabeled_share(self) -> float | None:
        return self.generated_share if self.mode == "offline" else None

    def build(self, shapes: Shapes) -> Objective:
        if not 0 < self.generated_share < 1:
            raise UsageError(
                f"objective.generated_share is {self.generated_share}, not between 0 and 1",
                hint="0.5 is the paper's; xcl_mix distils without a generator",
            )
        if self.mode == "offline":
            if shapes.labels is not None and not (shapes.labels == -1).any():
                raise UsageError(
                    "xcl_gan's offline mode needs a stored transfer set",
                    hint="make one: kdzoo data generate RUN FOLDER; then --unlabeled FOLDER",
                )
            return XclGan(self, None)
        if not self.generator:
            raise UsageError(
                "xcl_gan needs a generator",
                hint="make one: kdzoo train --recipe class_gan --model class_discriminator --data DATA --out RUN; then "
                "--set objective.generator=RUN",
            )
        return XclGan(self, load_generator(self.generator, num_classes=shapes.num_classes))


class XclGan(Objective):
    """Terms: ``kl_real`` and ``kl_generated``; their sum is the KL over the batch."""

    def __init__(self, settings: XclGanSettings, generator: ConditionalGenerator | None) -> None:
        super().__init__()
        self.settings = settings
        self.generator = generator

    def set_modes(self, student: nn.Module) -> None:
        """The generator's BatchNorm statistics stay as they were stored."""
        if self.generator is not None:
            self.generator.eval()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        images, is_generated = self._images(step)
        logits, answers = step.student(images).logits, step.teachers(images).logits
        share = float(is_generated.sum()) / len(images)
        return {
            "kl_real": self._kl(logits, answers, ~is_generated, 1 - share),
            "kl_generated": self._kl(logits, answers, is_generated, share),
        }

    def _kl(self, logits: Tensor, answers: tuple[Tensor, ...], chosen: Tensor, weight: float) -> Tensor:
        if weight == 0:
            return logits.sum() * 0
        temperature = self.settings.temperature
        target = mean_probabilities([answer[chosen] for answer in answers], temperature)
        loss = tempered_kl(logits[chosen], target, temperature)
        return weight * (loss if self.settings.squared_temperature else loss / temperature**2)

    def _images(self, step: StepView) -> tuple[Tensor, Tensor]:
        """The batch with its generated images in place, and which they are, bool, (B,)."""
        if self.generator is None:
            return step.images, step.labels == -1
        share = self.settings.generated_share
        chosen = [index for index in range(len(step.images)) if int((index + 1) * share) > int(index * share)]
        is_generated = torch.zeros(len(step.images), dtype=torch.bool, device=step.images.device)
        if not chosen:
            return step.images, is_generated
        is_generated[chosen] = True
        images = step.images.clone()
        images[chosen] = self._generate(step, step.sample_ids[chosen].tolist())
        return images, is_generated

    @torch.no_grad()
    def _generate(self, step: StepView, ids: list[int]) -> Tensor:
        assert self.generator is not None
        wanted = draw_wanted(
            lambda sample: step.generator("generated", step.epoch, sample),
            ids,
            latent_features=self.generator.latent_features,
            num_classes=self.generator.num_classes,
            class_mix_alpha=self.settings.class_mix_alpha if self.settings.mixed_classes else None,
        ).to(step.images.device)
        vectors = self.generator.class_vectors(wanted.classes, wanted.others, wanted.weight)
        height, width = step.images.shape[-2:]
        return resize(self.generator(wanted.latent, vectors), (height, width), "bilinear").clamp(0, 1)


RECIPE = from_rows(
    name="xcl_gan",
    summary="XCL with a generator: the teachers label images generated between two classes, half of each batch.",
    paper=PAPER,
    reproduces=("XCL-GAN's rows for CIFAR-100 (online) and ImageNet (offline): their numbers stand in the main paper",),
    objective=XclGanSettings,
    settings=(
        *CIFAR_RESNET18,
        ("student.init", "random", "ours: the supplement does not mention pretrained weights"),
        ("teachers.models", (), "ours: not in the supplement"),
        SAME_VIEW,
        ("data.dataset", "cifar100", "§A.6"),
        OWN_VALIDATION,
        ("data.unlabeled", None, "§A.6: online"),
        *at("§A.2", CIFAR_VIEWS, PLAIN),
        *at(f"{GLUON}; of use in variant imagenet only", TORCHVISION_CROP),
        *OTHER_SIZES,
        *MIXING_ON_REQUEST,
        *at("§A.6: none mentioned", UNMIXED),
        *NOT_STATED,
        *at("§A.2", {"optimizer.name": "sgd", "optimizer.momentum": 0.9, "optimizer.nesterov": True}),
        ("schedule.warmup_start", 0.25, "§A.5: from 0.1 to 0.4; of use in variant imagenet only"),
        ("objective.generator", None, "ours: to be named"),
        ("objective.mode", "online", "§A.6: for CIFAR-100"),
        ("objective.generated_share", 0.5, "§A.6, for ImageNet; see conflict 1"),
        ("objective.mixed_classes", True, "§A.6"),
        ("objective.class_mix_alpha", 1.0, "ours: not in the supplement; uniform"),
        ("objective.temperature", 1.0, "Supp. Table 5: XCL is not sensitive to it"),
        ("objective.squared_temperature", True, SQUARED_TEMPERATURE),
    ),
    students=(
        columns("name", "model", "teachers", "image_size"),
        sources("§A.2", "§A.2", "ours: not in the supplement", "§A.2"),
        student("cifar_resnet18", "cifar_resnet18", (), 32),
        ("note", "on CIFAR-100, online; its numbers stand in the main paper"),
        sources("§A.5", "§A.5: the regular one, not the -D form", "", "§A.5"),
        student("resnet50", "resnet50", None, 224, variants=("imagenet",)),
        ("teachers", (), "ours: Table 1's ResNet-152-D with CutMix has no public weights"),
        ("note", "with variant imagenet, offline; its numbers stand in the main paper"),
    ),
    variants=(
        variant("offline", "a stored transfer set in place of a generator: --unlabeled FOLDER"),
        ("objective.mode", "offline", "§A.6: for ImageNet"),
        variant("single_classes", "images of one class each, in place of mixed ones"),
        ("objective.mixed_classes", False, "ours: what mixing adds"),
        variant("imagenet", "ResNet-50 on ImageNet with a stored transfer set of 1M images of mixed classes"),
        *at(
            "§A.5",
            {
                "student.model": "resnet50",
                "data.dataset": "imagenet",
                "data.augmentation.image_size": 224,
                "data.augmentation.crop": "random_resized",
            },
        ),
        ("data.augmentation.color_jitter", (0.4, 0.4, 0.4), GLUON),
        ("data.augmentation.lighting_std", 0.1, f"{GLUON}, lighting_param"),
        ("data.evaluation.crop_pct", 0.875, "§A.5: 256 to 224"),
        *at(GLUON, IMAGENET_COLOURS),
        *at("§A.5", {"training.epochs": 300, "training.batch_size": 1024, "optimizer.lr": 0.4}),
        ("optimizer.weight_decay", 1e-5, "§A.5: ten times smaller for XCL"),
        ("schedule.name", "cosine", "§A.5"),
        ("schedule.milestones", (), "§A.5: none"),
        ("schedule.warmup_epochs", 5.0, "§A.5"),
        ("objective.mode", "offline", "§A.6"),
    ),
)
