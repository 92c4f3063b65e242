"""Settings that papers share, under the field's names: values alone for `at` to cite, and rows that need no paper."""

from __future__ import annotations

from .rows import at, variant

CIFAR_VIEWS = {
    "data.augmentation.image_size": 32,
    "data.augmentation.crop": "pad4",
    "data.augmentation.hflip_prob": 0.5,
    "data.evaluation.crop_pct": 1.0,
}
"""CIFAR's padded crop and flip; tested on the image as it is."""

IMAGENET_VIEWS = {
    "data.augmentation.image_size": 224,
    "data.augmentation.crop": "random_resized",
    "data.evaluation.crop_pct": 0.875,
}
"""Inception's crop and, in evaluation, the centre of an image of 256 px."""

TORCHVISION_CROP = {"data.augmentation.scale": (0.08, 1.0), "data.augmentation.ratio": (0.75, 1.3333333333333333)}
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

ON_CIFAR100 = {
    "data.dataset": "cifar100",
    "data.augmentation.image_size": 32,
    "data.augmentation.crop": "pad4",
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "data.evaluation.crop_pct": 1.0,
}
"""A variant's way from ImageNet's images to CIFAR-100's."""

REPDISTILLER_COLOURS = {"data.mean": (0.5071, 0.4867, 0.4408), "data.std": (0.2675, 0.2565, 0.2761)}
"""RepDistiller's mean and standard deviation of CIFAR-100."""

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
LABELS_ALONE = at("ours: labels alone", {"teachers.models": (), "teachers.view": "student", "data.unlabeled": None})
SAME_VIEW = ("teachers.view", "student", "ours: the same pixels for student and teachers; --set teachers.view=own")

SMALL_IMAGES = (
    ("data.augmentation.crop", "pad4", "ours: as CIFAR is trained on"),
    ("data.evaluation.crop_pct", 1.0, "ours: as CIFAR is tested on"),
)
"""For images of about 32 px, where ImageNet's crops leave too little."""

BENCHMARK = "code: README, benchmark 1 (the paper's Table 1)"
"""Where RepDistiller's table of students stands."""

REPDISTILLER = (
    *at("code: dataset/cifar100.py", CIFAR_VIEWS, PLAIN, REPDISTILLER_COLOURS),
    *OTHER_SIZES,
    OWN_VALIDATION,
    SAME_VIEW,
    *at("code: helper/loops.py", UNMIXED),
    *MIXING_ON_REQUEST,
    ("training.precision", "fp32", "code: train_student.py, nothing is cast"),
    ("schedule.name", "milestones", "code: helper/util.py"),
    *at(
        "code: train_student.py",
        {
            "student.init": "random",
            "data.dataset": "cifar100",
            "data.unlabeled": None,
            "training.epochs": 240,
            "training.batch_size": 64,
            "optimizer.name": "sgd",
            "optimizer.lr": 0.05,
            "optimizer.momentum": 0.9,
            "optimizer.nesterov": False,
            "optimizer.weight_decay": 5e-4,
            "optimizer.decay_norm_and_bias": True,
            "schedule.milestones": (150, 180, 210),
            "schedule.gamma": 0.1,
            "schedule.warmup_epochs": 0.0,
        },
    ),
)
"""RepDistiller's training of CIFAR-100 students, which most papers since CRD compare in."""

MOBILE_RATE = (
    variant("mobile", "the learning rate for MobileNet and ShuffleNet students", ("*mobilenet*", "*shufflenet*")),
    ("optimizer.lr", 0.01, "code: train_student.py"),
)
"""RepDistiller's variant for small architectures."""

OWN_DATA = (
    ("data.dataset", "imagenet", "ours: your images, by --data"),
    OWN_VALIDATION,
    ("data.unlabeled", None, "ours: by --unlabeled"),
    *at("ours: what the student's weights came with, or its network has", {"data.mean": "model", "data.std": "model"}),
    *at(
        "ours: follows the images' size and the network's own, docs/defaults.md",
        {
            "data.augmentation.image_size": 224,
            "data.augmentation.crop": "random_resized",
            "data.augmentation.interpolation": "bilinear",
            "data.evaluation.crop_pct": 0.95,
            "data.evaluation.interpolation": "bilinear",
        },
    ),
    ("data.augmentation.ratio", TORCHVISION_CROP["data.augmentation.ratio"], "ours: torchvision's default"),
    ("data.augmentation.hflip_prob", 0.5, "ours: right for most photographs, docs/defaults.md"),
    *at("ours: crop and flip alone suit images of any kind", PLAIN),
    ("data.mixing.cutmix_alpha", 1.0, "ours: of use with --set data.mixing.cutmix_prob only"),
    ("data.mixing.cutmix_prob", 0.0, "ours: MixUp alone, where there is any"),
    *at(
        "ours: follows the number of images, docs/defaults.md",
        {
            "training.batch_size": 64,
            "schedule.warmup_epochs": 0.5,
            "training.evaluate_every_epochs": 1,
        },
    ),
    ("training.precision", "fp32", "ours: the same on every machine"),
    ("training.ema_decay", None, "ours: no average in short runs, docs/defaults.md"),
    *at("ours: the usual of SGD", {"optimizer.name": "sgd", "optimizer.momentum": 0.9, "optimizer.nesterov": True}),
    ("optimizer.decay_norm_and_bias", True, "ours: torch's default"),
    *at(
        "ours: a cosine to 0 that moves each step",
        {
            "schedule.name": "cosine",
            "schedule.milestones": (),
            "schedule.gamma": 0.1,
            "schedule.warmup_start": 0.0,
            "schedule.final": 0.0,
            "schedule.update": "step",
        },
    ),
)
"""Our own recipes' common part; most of it follows the data and the student (``planning.own_data``)."""

OWN_TAUGHT = (
    *OWN_DATA,
    ("student.model", "resnet18", "ours: by --student"),
    ("student.init", "pretrained", "ours: weights that are there are used, random ones otherwise"),
    ("teachers.models", (), "ours: by --teacher"),
    ("teachers.view", "own", "ours: a teacher answers best at the size that it knows"),
    ("data.augmentation.scale", (0.35, 1.0), "ours: docs/defaults.md"),
)
"""What those of them that learn from teachers have beside it."""
