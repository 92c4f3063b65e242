"""The recipes' teachers and the weights that their students start from, under timm's own names.

Numbers are timm's results at the preprocessing of its record; the papers' own differ where they evaluated otherwise.
"""

from __future__ import annotations

from .entry import HALF, IMAGENET_MEAN, IMAGENET_STD, TIMM_RESULTS, Entry, Published

_NC = "cc-by-nc-4.0"
_INITIAL = "what {} starts from"
_GLUON = "MEAL V2 quotes {} for it, from a bilinear resize; timm's record is bicubic"
_B4 = "a teacher of meal_v2_resnet50_380"
_JFT = "trained with JFT-300M, images that are not public"
_WSL = "SSLD's teacher: the paper cites 84.8, these released weights reach 84.2; the network's SWSL file is a bad save"

# timm's name, pixels, crop_pct, interpolation, mean = std = 0.5, top-1, top-5, licence, paper, notes
_ROWS: tuple[tuple[str, int, float, str, bool, float, float, str, str, tuple[str, ...]], ...] = (
    (
        "senet154.gluon_in1k",
        *(224, 0.875, "bicubic", False, 81.258, 95.358, "apache-2.0", "gluon"),
        (_GLUON.format(81.38),),
    ),
    (
        "resnet152s.gluon_in1k",
        *(224, 0.875, "bicubic", False, 81.048, 95.442, "apache-2.0", "gluon"),
        (_GLUON.format(80.86),),
    ),
    (
        "tf_efficientnet_b4.ns_jft_in1k",
        *(380, 0.922, "bicubic", False, 85.156, 97.482, "apache-2.0", "noisy_student"),
        (_B4, _JFT),
    ),
    (
        "tf_efficientnet_b4.aa_in1k",
        *(380, 0.922, "bicubic", False, 83.040, 96.298, "apache-2.0", "efficientnet"),
        (_B4,),
    ),
    (
        "resnet50.ram_in1k",
        *(224, 0.875, "bicubic", False, 79.034, 94.386, "apache-2.0", "timm"),
        (_INITIAL.format("MEAL V2's ResNet-50"),),
    ),
    (
        "resnet18.tv_in1k",
        *(224, 0.875, "bilinear", False, 69.752, 89.082, "bsd-3-clause", "torchvision"),
        (_INITIAL.format("MEAL V2's ResNet-18") + " (inferred from the paper's 69.76)",),
    ),
    (
        "tf_mobilenetv3_small_075.in1k",
        *(224, 0.875, "bilinear", True, 65.706, 86.130, "apache-2.0", "mobilenetv3"),
        (_INITIAL.format("meal_v2_mobilenetv3_small_075"),),
    ),
    (
        "tf_mobilenetv3_small_100.in1k",
        *(224, 0.875, "bilinear", True, 67.922, 87.686, "apache-2.0", "mobilenetv3"),
        (_INITIAL.format("meal_v2_mobilenetv3_small_100"),),
    ),
    (
        "tf_mobilenetv3_large_100.in1k",
        *(224, 0.875, "bilinear", True, 75.510, 92.600, "apache-2.0", "mobilenetv3"),
        (_INITIAL.format("meal_v2_mobilenetv3_large_100"),),
    ),
    (
        "tf_efficientnet_b0.aa_in1k",
        *(224, 0.875, "bicubic", False, 76.882, 93.270, "apache-2.0", "efficientnet"),
        (_INITIAL.format("meal_v2_efficientnet_b0"),),
    ),
    (
        "efficientnet_b0.ra_in1k",
        *(224, 0.875, "bicubic", False, 77.698, 93.538, "apache-2.0", "timm"),
        ("MEAL V2's other start for EfficientNet-B0; ExRep's B0 student",),
    ),
    (
        "resnext101_32x16d.fb_wsl_ig1b_ft_in1k",
        *(224, 0.875, "bilinear", False, 84.166, 97.192, _NC, "wsl"),
        (_WSL,),
    ),
    (
        "tf_efficientnet_b0.ns_jft_in1k",
        *(224, 0.875, "bicubic", False, 78.680, 94.372, "apache-2.0", "noisy_student"),
        ("ExRep's B0 teacher (78.6 / 94.3 there); SSLD quotes 78.8 and 78.5", _JFT),
    ),
    (
        "tf_efficientnet_b1.ns_jft_in1k",
        *(240, 0.882, "bicubic", False, 81.388, 95.756, "apache-2.0", "noisy_student"),
        ("ExRep's B1 teacher (81.3 / 95.7 there); SSLD quotes 81.5", _JFT),
    ),
    (
        "tf_efficientnet_b1.aa_in1k",
        *(240, 0.882, "bicubic", False, 78.840, 94.202, "apache-2.0", "efficientnet"),
        ("ExRep's B1 student (78.8 / 94.1 there)",),
    ),
    (
        "resnext50_32x4d.fb_swsl_ig1b_ft_in1k",
        *(224, 0.875, "bilinear", False, 82.162, 96.224, _NC, "billion_scale"),
        ("ExRep's ResNeXt teacher (82.1 / 96.2 there; inferred)",),
    ),
    (
        "resnext50_32x4d.ra_in1k",
        *(224, 0.875, "bicubic", False, 79.800, 94.608, "apache-2.0", "timm"),
        ("ExRep's ResNeXt student (79.7 / 94.6 there; inferred)",),
    ),
)

ENTRIES = tuple(
    Entry(
        name=name,
        group="teacher",
        architecture=name.split(".")[0],
        format="timm",
        address=f"hf-hub:timm/{name}",
        timm_name=name,
        licence=licence,
        image_size=size,
        mean=HALF if half else IMAGENET_MEAN,
        std=HALF if half else IMAGENET_STD,
        interpolation=interpolation,
        crop_pct=crop_pct,
        results=(
            Published(
                top1=top1,
                top5=top5,
                image_size=size,
                crop_pct=crop_pct,
                interpolation=interpolation,
                source=TIMM_RESULTS,
            ),
        ),
        paper=paper,
        notes=notes,
    )
    for name, size, crop_pct, interpolation, half, top1, top5, licence, paper, notes in _ROWS
)
