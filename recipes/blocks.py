"""Settings that papers share, under the field's names: values alone for `at` to cite, and rows that need no paper."""

from __future__ import annotations

from .rows import at

CIFAR_VIEWS = {
    "data.augmentation.image_size": 32,
    "data.augmentation.crop": "pad4",
    "data.augmentation.hflip_prob": 0.5,
    "data.evaluation.crop_pct": 1.0,
}
"""CIFAR's padded crop and flip; tested on the image as it is."""

TORCHVISION_CROP = {
    "data.augmentation.scale": (0.08, 1.0),
    "data.augmentation.ratio": (0.75, 1.3333333333333333),
}
"""The bounds of Inception's crop, torchvision's defaults."""

PLAIN = {
    "data.augmentation.policy": None,
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "data.augmentation.erase_prob": 0.0,
}
"""Neither colours changed nor anything erased."""

UNMIXED = {"data.mixing.mixup_prob": 0.0, "data.mixing.cutmix_prob": 0.0}
"""No MixUp, no CutMix."""

IMAGENET_COLOURS = {"data.mean": (0.485, 0.456, 0.406), "data.std": (0.229, 0.224, 0.225)}
"""ImageNet's mean and standard deviation."""

MIXING_ON_REQUEST = (
    ("data.mixing.mixup_alpha", 1.0, "ours: of use with --set data.mixing.mixup_prob only"),
    ("data.mixing.cutmix_alpha", 1.0, "ours: of use with --set data.mixing.cutmix_prob only"),
)
OTHER_SIZES = at(
    "ours: of use for images of another size only",
    {"data.augmentation.interpolation": "bilinear", "data.evaluation.interpolation": "bilinear"},
)
OWN_VALIDATION = ("data.val_dataset", None, "ours: the data set's own validation split")
LABELS_ALONE = at("ours: labels alone", {"teachers.models": (), "data.unlabeled": None})

SMALL_IMAGES = (
    ("data.augmentation.crop", "pad4", "ours: as CIFAR is trained on"),
    ("data.evaluation.crop_pct", 1.0, "ours: as CIFAR is tested on"),
)
"""For images of about 32 px, where ImageNet's crops leave too little."""
