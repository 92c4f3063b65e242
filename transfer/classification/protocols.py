"""The papers' transfer protocols: every value beside the place that it comes from.

MEAL V2, Appendix A (Z. Shen and M. Savvides, 2020, arXiv 2009.08453), and SSLD, §4.6 with the PaddleClas page on
transfer learning (C. Cui et al., 2021, arXiv 2103.05959; docs/en/application/transfer_learning_en.md).

Deviations:
    1. MEAL V2 names an initial learning rate and no schedule: a cosine to zero here.
    2. Linear mode computes each image's features once, from its test view (resize, centre crop), where the paper trains
       the last layer on random crops: the solver "views" does that, at the cost of a pass over the images each epoch.
    3. An incomplete last batch of an epoch is dropped when the network is trained, as in every run of kdzoo.
    4. SSLD's epochs and batch size are not published: those of PaddleClas's quick start on flowers here.
    5. SSLD's page multiplies the stages' learning rates for the distilled models alone; the paper says that only the
       weights differ. Here both get the same multipliers; --stage-lr none leaves them out.
    6. Small pictures shown at their own size get CIFAR's padded crop, and digits are not mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ...base.setting_values import (
    BetaParameter,
    Count,
    CropPct,
    Decay,
    Epochs,
    Fraction,
    LabelSmoothing,
    LearningRate,
    Pixels,
    Range,
    Temperature,
    WeightDecay,
)
from ...base.settings import ResolvedSettings, cited_settings

Mode = Literal["finetune", "linear", "knn"]
MODES: tuple[Mode, ...] = ("finetune", "linear", "knn")
SOLVERS = ("sgd", "lbfgs", "views")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a backbone is trained for a task, and shown its images.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a batch, all processes together.
        lr: Base learning rate of SGD.
        momentum: Of SGD.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: On every trained parameter.
        schedule: ``cosine`` to zero, or ``constant``.
        label_smoothing: ε, ε/C to every class.
        mixup_alpha: Of the Beta distribution; 0 for no MixUp.
        stage_lr: Multipliers of the learning rate for the backbone's stages, stem first: five numbers; ``none`` for 1
            everywhere; ``auto`` for the published set of the architecture.
        image_size: Side of the crops, pixels.
        crop_pct: Test crop over resized short side.
        interpolation: ``bilinear`` or ``bicubic``.
        crop: ``random_resized`` or ``pad4``.
        scale: Of the random crop, as a fraction of the area.
        ratio: Of the random crop, width over height.
        hflip_prob: Chance of a mirrored view.
        neighbours: Of kNN.
        temperature: Of kNN's weights.
    """

    epochs: Epochs
    batch_size: Count
    lr: LearningRate
    momentum: Decay
    nesterov: bool
    weight_decay: WeightDecay
    schedule: Literal["cosine", "constant"]
    label_smoothing: LabelSmoothing
    mixup_alpha: BetaParameter
    stage_lr: str
    image_size: Pixels
    crop_pct: CropPct
    interpolation: Literal["bilinear", "bicubic"]
    crop: Literal["random_resized", "pad4"]
    scale: Annotated[tuple[float, float], Range(0, 1, above_low=True)]
    ratio: Annotated[tuple[float, float], Range(0.01, 100)]
    hflip_prob: Fraction
    neighbours: Count
    temperature: Temperature


MEAL_V2 = cited_settings(
    Protocol,
    epochs=(200, "App. A"),
    batch_size=(128, "App. A"),
    lr=(0.01, "App. A; linear mode takes LINEAR_LR"),
    momentum=(0.9, "App. A"),
    nesterov=(False, 'ours: "SGD with a momentum parameter"'),
    weight_decay=(1e-4, "App. A"),
    schedule=("cosine", "ours: App. A has an initial learning rate and no schedule"),
    label_smoothing=(0.0, "App. A: none mentioned"),
    mixup_alpha=(0.0, "App. A: none mentioned"),
    stage_lr=("none", "App. A: none mentioned"),
    image_size=(224, "App. A"),
    crop_pct=(0.875, "App. A: 256 to 224"),
    interpolation=("bilinear", "ours: not stated, and the same for both backbones"),
    crop=("random_resized", 'App. A: "standard random crops with resize"'),
    scale=((0.08, 1.0), 'ours: torchvision\'s, for "standard"'),
    ratio=((0.75, 1.3333333333333333), 'ours: torchvision\'s, for "standard"'),
    hflip_prob=(0.5, 'App. A: "flips"'),
    neighbours=(20, "code: facebookresearch/dino eval_knn.py"),
    temperature=(0.07, "code: facebookresearch/dino eval_knn.py"),
)

LINEAR_LR = 0.1  # App. A: "a larger initial learning rate of 0.1"

SSLD = cited_settings(
    Protocol,
    epochs=(20, "ours: not published; the quick start of PaddleClas on flowers has 20"),
    batch_size=(32, "ours: not published; the quick start of PaddleClas on flowers has 32"),
    lr=(0.003, "code: transfer_learning_en.md, fixed for the baseline"),
    momentum=(0.9, "code: PaddleClas's Momentum of its quick start"),
    nesterov=(False, "code: PaddleClas's Momentum of its quick start"),
    weight_decay=(1e-4, "code: transfer_learning_en.md, fixed for the baseline"),
    schedule=("cosine", "code: PaddleClas's quick start"),
    label_smoothing=(0.0, "code: transfer_learning_en.md: one of {0, 1} in the search"),
    mixup_alpha=(0.0, "code: transfer_learning_en.md: one of {0, 1} in the search"),
    stage_lr=("auto", "code: transfer_learning_en.md"),
    image_size=(224, "ours: not stated; PaddleClas trains these networks at 224"),
    crop_pct=(0.875, "ours: PaddleClas tests at 256 to 224"),
    interpolation=("bilinear", "ours: PaddleClas's"),
    crop=("random_resized", "ours: PaddleClas's"),
    scale=((0.08, 1.0), "ours: PaddleClas's"),
    ratio=((0.75, 1.3333333333333333), "ours: PaddleClas's"),
    hflip_prob=(0.5, "ours: PaddleClas's"),
    neighbours=(20, "code: facebookresearch/dino eval_knn.py"),
    temperature=(0.07, "code: facebookresearch/dino eval_knn.py"),
)

SEARCH_LR = (0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4)  # code: transfer_learning_en.md
SEARCH_WEIGHT_DECAY = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)  # code: transfer_learning_en.md
SEARCH_LABEL_SMOOTHING = (0.0, 0.1)  # code: transfer_learning_en.md {0, 1}; 0.1 is PaddleClas's ε
SEARCH_MIXUP = (0.0, 0.2)  # code: transfer_learning_en.md {0, 1}; 0.2 is PaddleClas's α
SEARCH_HELD_OUT = 0.2  # ours: "validation set" is not said where there is none

STAGE_LR = (0.1, 0.1, 0.2, 0.2, 0.3)  # code: transfer_learning_en.md, ResNet50_vd
STAGE_LR_MOBILENET_V3_LARGE = (0.25, 0.25, 0.5, 0.5, 0.75)  # code: transfer_learning_en.md, 15 blocks in threes

QUICK_EPOCHS = 5  # ours: a fast look, no number to publish

PROTOCOLS: dict[str, ResolvedSettings[Protocol]] = {"meal_v2": MEAL_V2, "ssld": SSLD}
"""Each value with where it is from."""
