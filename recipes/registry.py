"""The recipes by name. Listing them imports none of them, and no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..base.suggestions import unknown

if TYPE_CHECKING:
    from .recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A line of ``kdzoo recipes list``.

    Attributes:
        name: What ``--recipe`` calls it.
        title: The paper's.
        year: The paper's.
        summary: What it does.
        students: The students of its table.
    """

    name: str
    title: str
    year: int
    summary: str
    students: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


_LISTINGS = (
    Listing(
        name="supervised",
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        year=2021,
        summary="Training on labels, with label smoothing, MixUp and CutMix as options: teachers and baselines.",
        students=("resnet50",),
    ),
    Listing(
        name="hinton_kd",
        title="Distilling the Knowledge in a Neural Network",
        year=2015,
        summary="Hinton's distillation: softened teacher probabilities and labels, in CRD's CIFAR-100 settings.",
        students=("cifar_resnet8x4", "cifar_wrn_16_2"),
    ),
    Listing(
        name="meal_v2",
        title="MEAL V2: Boosting Vanilla ResNet-50 to 80%+ Top-1 Accuracy on ImageNet without Tricks",
        year=2020,
        summary="A well-initialised student learns the mean probabilities of a teacher ensemble; no labels, no tricks.",
        students=(
            "resnet50",
            "tf_mobilenetv3_small_075",
            "tf_mobilenetv3_small_100",
            "tf_mobilenetv3_large_100",
            "tf_efficientnet_b0",
            "efficientnet_b0",
            "resnet18",
            "resnet50.tv_in1k",
        ),
    ),
    Listing(
        name="xcl_mix",
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        year=2021,
        summary="XCL: the teachers label the MixUp and CutMix images that the student sees; no label is read.",
        students=(
            "resnet50",
            "resnet101",
            "cifar_resnet18",
            "cifar_pyramidnet200_a240",
            "cifar_binary_resnet18",
        ),
    ),
    Listing(
        name="ssld",
        title="Beyond Self-Supervision: A Simple Yet Effective Network Distillation Alternative to Improve Backbones",
        year=2021,
        summary="Soft labels of one strong teacher, on labelled and unlabeled images; then the labelled images alone.",
        students=(
            "resnet50d",
            "resnet101d",
            "resnet200d_paddle",
            "hrnet_w18",
            "mobilenetv1_100",
            "mobilenetv2_100",
            "mobilenetv3_large_100",
            "mobilenetv3_small_100",
        ),
    ),
    Listing(
        name="paddleclas",
        title="Beyond Self-Supervision: A Simple Yet Effective Network Distillation Alternative to Improve Backbones",
        year=2021,
        summary="Training on labels by PaddleClas' published configurations: the baselines of SSLD's tables.",
        students=(
            "resnet50",
            "resnet50d",
            "resnet101d",
            "resnet200d_paddle",
            "hrnet_w18",
            "mobilenetv1_100",
            "mobilenetv2_100",
            "mobilenetv3_large_100",
            "mobilenetv3_small_100",
        ),
    ),
    Listing(
        name="class_gan",
        title="Large Scale GAN Training for High Fidelity Natural Image Synthesis",
        year=2019,
        summary="A small class-conditional GAN, whose generator makes the images that xcl_gan distils on.",
        students=(),
    ),
    Listing(
        name="xcl_gan",
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        year=2021,
        summary="XCL with a generator: the teachers label images generated between two classes, half of each batch.",
        students=("cifar_resnet18", "resnet50"),
    ),
    Listing(
        name="gaze",
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        year=2021,
        summary="Gaze estimation with uncertainty, by Gaussian likelihood: XCL's teacher and its baselines.",
        students=("gaze_preact_resnet8", "gaze_preact_resnet8_pose", "gaze_lenet", "gaze_lenet_pose"),
    ),
    Listing(
        name="xcl_gaze",
        title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
        year=2021,
        summary="XCL for regression: the student's Gaussian learns the teacher's on mixed eye images; no gaze is read.",
        students=("gaze_lenet", "gaze_lenet_pose"),
    ),
    Listing(
        name="meal_v1",
        title="MEAL: Multi-Model Ensemble via Adversarial Learning",
        year=2019,
        summary="A teacher drawn for each batch, imitated block by block beside a discriminator a block; no labels.",
        students=("cifar_resnet18",),
    ),
    Listing(
        name="crd",
        title="Contrastive Representation Distillation",
        year=2020,
        summary="Contrastive representation distillation with memory banks, in its CIFAR-100 settings.",
        students=("cifar_resnet8x4", "cifar_wrn_16_2"),
    ),
    Listing(
        name="ae_kd",
        title="Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space",
        year=2020,
        summary="An ensemble's teachers are weighed anew at each step, so that the gradient serves all of them.",
        students=("cifar_resnet18",),
    ),
    Listing(
        name="exrep",
        title="Compensating for the Lack of Extra Training Data by Learning Extra Representation",
        year=2020,
        summary="An input distiller, a critic and CRD bring a student close to a teacher that saw far more images.",
        students=("tf_efficientnet_b1", "efficientnet_b0", "resnext50_32x4d"),
    ),
    Listing(
        name="exrep_transfer",
        title="Compensating for the Lack of Extra Training Data by Learning Extra Representation",
        year=2020,
        summary="Training on labels while a stored ExRep input distiller varies a few of the images (ExRep's stage 2).",
        students=("cifar_pyramidnet272_a200",),
    ),
    Listing(
        name="fixres",
        title="Fixing the train-test resolution discrepancy",
        year=2019,
        summary="Fine-tuning of the classifier alone at the higher resolution of the test.",
        students=("resnet50",),
    ),
)


def list_recipes() -> tuple[Listing, ...]:
    """Every recipe, a line each."""
    return _LISTINGS


def recipe_names() -> tuple[str, ...]:
    """Every recipe's name."""
    return tuple(listing.name for listing in _LISTINGS)


def get_recipe(name: str) -> Recipe:
    """The recipe called ``name``.

    Raises:
        UsageError: There is none; the nearest name is given.
    """
    if name not in recipe_names():
        raise unknown(name, recipe_names(), what="recipe", where="'kdzoo recipes list' shows them")
    recipe: Recipe = import_module(f".{name}", __package__).RECIPE
    return recipe
