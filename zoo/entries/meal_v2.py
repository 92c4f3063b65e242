"""The eight files that the authors of MEAL V2 released (release v1.0.0 of szq0214/MEAL-V2).

Each is a flat state dict whose names begin with `module.`, of the timm architecture named here. Evaluation: short side
to int(256 / 224 * size), centre crop, PIL bilinear, ImageNet's mean and std, for every architecture (inference.py): the
tf_ MobileNetV3 too, for which timm's own record says mean = std = 0.5. The repository has no licence file.
"""

from __future__ import annotations

from .entry import Entry, Published

BASE = "https://github.com/szq0214/MEAL-V2/releases/download/v1.0.0/"

_PAIR_224 = ("senet154.gluon_in1k", "resnet152s.gluon_in1k")
_PAIR_380 = ("tf_efficientnet_b4.ns_jft_in1k", "tf_efficientnet_b4.aa_in1k")
_NO_LICENCE = "the repository that publishes these weights states no licence: ask its authors before you build on them"
_TF = "timm's own record for this architecture has mean = std = 0.5; these weights were trained with ImageNet's"
_SAME = "needs TensorFlow's SAME padding and BatchNorm eps 1e-3: a tf_ architecture, not the plain one"
_JFT = "one teacher (Noisy Student) was trained with JFT-300M: the paper's 'no outside data' does not hold for this row"
_CUTMIX = "CutMix on every batch; the target is the teachers' output on the mixed image (train.py)"

# name, file, architecture, pixels, top-1, top-5 (README and Tables 3, 4), teachers, notes
_ROWS: tuple[tuple[str, str, str, int, float, float, tuple[str, ...], tuple[str, ...]], ...] = (
    ("meal_v2_resnet50", "MEALV2_ResNet50_224.pth", "resnet50", 224, 80.67, 95.09, _PAIR_224, ()),
    ("meal_v2_resnet50_cutmix", "MEALV2_ResNet50_224_cutmix.pth", "resnet50", 224, 80.98, 95.35, _PAIR_224, (_CUTMIX,)),
    ("meal_v2_resnet50_380", "MEALV2_ResNet50_380.pth", "resnet50", 380, 81.72, 95.81, _PAIR_380, (_JFT,)),
    (
        "meal_v2_mobilenetv3_small_075",
        "MEALV2_MobileNet_V3_Small_0.75_224.pth",
        "tf_mobilenetv3_small_075",
        224,
        67.60,
        87.23,
        _PAIR_224,
        (_TF, _SAME),
    ),
    (
        "meal_v2_mobilenetv3_small_100",
        "MEALV2_MobileNet_V3_Small_1.0_224.pth",
        "tf_mobilenetv3_small_100",
        224,
        69.65,
        88.71,
        _PAIR_224,
        (_TF, _SAME),
    ),
    (
        "meal_v2_mobilenetv3_large_100",
        "MEALV2_MobileNet_V3_Large_1.0_224.pth",
        "tf_mobilenetv3_large_100",
        224,
        76.92,
        93.32,
        _PAIR_224,
        (_TF, _SAME),
    ),
    (
        "meal_v2_efficientnet_b0",
        "MEALV2_EfficientNet_B0_224.pth",
        "tf_efficientnet_b0",
        224,
        78.29,
        93.95,
        _PAIR_224,
        (_SAME,),
    ),
    (
        "meal_v1_resnet50",
        "MEALV1_ResNet50_224.pth",
        "resnet50",
        224,
        78.21,
        94.01,
        (),
        ("MEAL's ImageNet teachers are not named beside this file",),
    ),
)

ENTRIES = tuple(
    Entry(
        name=name,
        group="meal_v2",
        architecture=architecture,
        format="pth",
        address=BASE + file,
        licence=None,
        image_size=size,
        results=(
            Published(
                top1=top1,
                top5=top5,
                image_size=size,
                crop_pct=0.875,
                interpolation="bilinear",
                source="MEAL-V2 README, 59e6bca" if name.startswith("meal_v1") else "MEAL V2, Tables 3 and 4",
            ),
        ),
        paper="meal" if name.startswith("meal_v1") else "meal_v2",
        teachers=teachers,
        notes=(*notes, _NO_LICENCE),
    )
    for name, file, architecture, size, top1, top5, teachers, notes in _ROWS
)
