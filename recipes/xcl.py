"""XCL's paper, and the training setups of its supplement that its recipes share."""

from __future__ import annotations

from .blocks import IMAGENET_COLOURS, IMAGENET_VIEWS, ON_CIFAR100, OWN_VALIDATION, PLAIN, TORCHVISION_CROP
from .recipe import Paper
from .rows import at

GLUON, ML_QUANT = "code: dmlc/gluon-cv train_imagenet.py", "code: apple/ml-quant quant/data/data_loaders.py"
GAZE_CODE = "code: pytorch_mpiigaze"
INPUT_SHAPE, EYES = f"{GAZE_CODE} resnet_preact.py, input_shape", f"{GAZE_CODE} transforms.py"
TWO_OUTPUTS = '§A.1: "when estimating the uncertainty" there are three outputs, else two'

SQUARED_TEMPERATURE = "code: apple/ml-quant quant/utils/kd_criterion.py; of no effect at T = 1"

PAPER = Paper(
    title="Extracurricular Learning: Knowledge Transfer Beyond Empirical Distribution",
    authors="Hadi Pouransari, Mojan Javaheripi, Vinay Sharma, Oncel Tuzel",
    year=2021,
    url="https://arxiv.org/abs/2007.00051",
)

NOT_STATED = at("ours: not stated", {"training.precision": "fp32", "optimizer.decay_norm_and_bias": True})

IMAGENET = (
    ("data.dataset", "imagenet", "§A.5"),
    OWN_VALIDATION,
    *at("§A.5", IMAGENET_VIEWS, {"data.augmentation.hflip_prob": 0.5}),
    ("data.evaluation.crop_pct", 0.875, "§A.5: 256 to 224"),
    *at(GLUON, TORCHVISION_CROP, IMAGENET_COLOURS),
    *at("ours: none mentioned in §A.5", PLAIN),
    ("data.augmentation.color_jitter", (0.4, 0.4, 0.4), f"{GLUON}, jitter_param"),
    ("data.augmentation.lighting_std", 0.1, f"{GLUON}, lighting_param"),
    *NOT_STATED,
    *at(
        "ours: not stated",
        {
            "data.augmentation.interpolation": "bilinear",
            "data.evaluation.interpolation": "bilinear",
            "schedule.update": "step",
        },
    ),
    *at(
        "§A.5",
        {
            "training.epochs": 300,
            "training.batch_size": 1024,
            "optimizer.name": "sgd",
            "optimizer.lr": 0.4,
            "optimizer.nesterov": True,
            "schedule.name": "cosine",
            "schedule.warmup_epochs": 5.0,
            "schedule.final": 0.0,
        },
    ),
    ("optimizer.momentum", 0.9, f"{GLUON}; §A.5 prints none"),
    ("schedule.milestones", (), "§A.5: none"),
    ("schedule.gamma", 0.1, "ours: of use in variants with milestones only"),
    ("schedule.warmup_start", 0.25, "§A.5: from 0.1 to 0.4"),
)
"""ImageNet, §A.5; without mixing and weight decay, in which the methods differ."""

CIFAR_RESNET18 = (
    *at("§A.2", {"student.model": "cifar_resnet18"}, ON_CIFAR100),
    *at(
        "code: uoguelph-mlrg/Cutout train.py",
        {"data.mean": (0.4914, 0.4824, 0.4467), "data.std": (0.2471, 0.2435, 0.2616)},
    ),
    *at(
        "§A.2",
        {
            "training.epochs": 400,
            "training.batch_size": 128,
            "optimizer.lr": 0.1,
            "optimizer.weight_decay": 5e-4,
            "schedule.name": "milestones",
            "schedule.milestones": (120, 240, 320),
            "schedule.gamma": 0.2,
            "schedule.warmup_epochs": 0.0,
        },
    ),
)
"""ResNet-18 on CIFAR-100, §A.2: the setup of the Cutout repository."""

CIFAR_PYRAMIDNET = (
    *at("§A.3", {"student.model": "cifar_pyramidnet200_a240"}, ON_CIFAR100),
    *at(
        "code: clovaai/CutMix-PyTorch train.py",
        {"data.mean": (0.4914, 0.4824, 0.4467), "data.std": (0.2471, 0.2435, 0.2616)},
    ),
    *at("§A.3", {"training.epochs": 300, "training.batch_size": 64, "optimizer.lr": 0.25}),
)
"""PyramidNet-200 on CIFAR-100, §A.3, without its weight decay and steps."""

CIFAR_BINARY = (
    *at("§A.4", {"student.model": "cifar_binary_resnet18"}, ON_CIFAR100),
    *at(ML_QUANT, {"data.mean": (0.5071, 0.4865, 0.4409), "data.std": (0.2673, 0.2564, 0.2762)}),
    *at("§A.4", {"training.epochs": 350, "training.batch_size": 128, "optimizer.name": "adam", "optimizer.lr": 2e-4}),
    ("optimizer.nesterov", False, "§A.4: Adam has none"),
    ("optimizer.weight_decay", 0.0, "§A.4"),
)
"""ResNet-18 with 1-bit weights on CIFAR-100, §A.4, without its steps."""

MPIIGAZE = (
    ("student.init", "random", "ours: the supplement does not mention pretrained weights"),
    ("data.dataset", "mpiigaze", "§A.1: 3 people held out, 12 trained on"),
    ("data.val_dataset", None, "§A.1: the held-out people"),
    *at(INPUT_SHAPE, {"data.augmentation.image_size": 36, "data.augmentation.image_width": 60}),
    *at(
        f"{EYES}: the image as it is",
        {"data.augmentation.crop": "center", "data.augmentation.crop_pct": 1.0, "data.evaluation.crop_pct": 1.0},
    ),
    ("data.augmentation.scale", (0.08, 1.0), "ours: of no effect with this crop"),
    *at(
        "ours: of no effect at the data's own size",
        {"data.augmentation.interpolation": "bilinear", "data.evaluation.interpolation": "bilinear"},
    ),
    ("data.augmentation.hflip_prob", 0.0, f"{EYES}: none"),
    *at(f"{EYES}: pixels over 255, nothing taken out", {"data.mean": "model", "data.std": "model"}),
    *NOT_STATED,
    *at(
        "§A.1",
        {
            "training.epochs": 40,
            "training.batch_size": 32,
            "optimizer.name": "adam",
            "optimizer.weight_decay": 1e-4,
            "schedule.name": "milestones",
            "schedule.milestones": (30, 36),
            "schedule.gamma": 0.1,
        },
    ),
    ("optimizer.momentum", 0.9, "§A.1: Adam's first beta"),
    ("optimizer.beta2", 0.999, "ours: not stated, Adam's usual value"),
    ("optimizer.nesterov", False, "ours: of no effect with Adam"),
    ("schedule.warmup_epochs", 0.0, "§A.1: none"),
    ("objective.scale", "std", "ours: §A.1's N(μ, σI) leaves it open"),
    ("objective.positivity", "softplus", "ours: not stated"),
)
"""Gaze on MPIIGaze, §A.1; without mixing and the learning rate, in which teacher and student differ."""

SMALL_IMAGES = (
    *at(
        "ours: as CIFAR is trained on",
        {
            "data.augmentation.crop": "pad4",
            "data.augmentation.color_jitter": None,
            "data.augmentation.lighting_std": 0.0,
        },
    ),
    ("data.evaluation.crop_pct", 1.0, "ours: as CIFAR is tested on"),
)
"""For images of about 32 px: CIFAR's padded crop, and no colour changes."""
