"""SSLD: PaddleClas' released `.pdparams` files whose network has an exact twin in timm or in `kdzoo.zoo.networks`.

Numbers are those of PaddleClas `develop` (docs/en/algorithm_introduction/ImageNet_models_en.md) where no other source
is named. Its evaluation resizes with OpenCV's bilinear filter, without antialiasing; PIL's differs by 0.1 to 0.3
points. The weights are published under PaddleClas' Apache-2.0.

Released, and not here: Res2Net200_vd_26w_4s (85.13) and SE_HRNet_W64_C (84.75), for which no twin is built, and what
timm hosts itself (`timm_hosted`).
"""

from __future__ import annotations

from ..conversion import CONVERSIONS
from .entry import Entry, Published

BASE = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"

_DOCS = "PaddleClas docs/en/algorithm_introduction/ImageNet_models_en.md, d178931f"
_SSLD_DOC = "PaddleClas docs, ssld.md, d178931f"
_WSL = ("resnext101_32x16d.fb_wsl_ig1b_ft_in1k",)
_R50 = ("ssld_resnet50d",)
_CV2 = "evaluated by its publisher with OpenCV's bilinear resize; PIL's gives 0.1 to 0.3 points more or less"
_R50_PAPER = "the paper's Table 2 says 83.0, and 84.8 for the teacher, whose released weights reach 84.2"
_PLAIN = (
    "PaddleClas release/2.0 lists this file with 82.39 / 96.10, and develop links it for 83.0: evaluate before you "
    "quote either"
)
_V2 = "as ssld_resnet50d with AutoAugment; PaddleClas gives weight decay 2e-5, 4e-5 and 7e-5 in different places"
_FIX = "ssld_resnet50d_v2 with its classifier fine-tuned at 320 px (FixRes); short side 320, centre crop 320"
_MNV2 = "the paper says 76.4"

# name, PaddleClas' network, file (below BASE), pixels, crop_pct, top-1, top-5, teachers, notes
_ROWS: tuple[
    tuple[str, str, str, int, float, float, float | None, tuple[str, ...], tuple[str, ...]],
    ...,
] = (
    ("ssld_resnet34d", "ResNet34_vd", "legendary_models/ResNet34_vd_ssld", 224, 0.875, 79.72, 94.90, _WSL, ()),
    (
        "ssld_resnet50d",
        "ResNet50_vd",
        "legendary_models/ResNet50_vd_ssld",
        224,
        0.875,
        83.00,
        96.40,
        _WSL,
        (_R50_PAPER,),
    ),
    ("ssld_resnet50d_plain", "ResNet50_vd", "ResNet50_vd_ssld", 224, 0.875, 82.39, 96.10, _WSL, (_PLAIN,)),
    ("ssld_resnet50d_v2", "ResNet50_vd", "ResNet50_vd_ssld_v2", 224, 0.875, 83.00, 96.40, _WSL, (_V2,)),
    ("ssld_resnet50d_fix_320", "ResNet50_vd", "Fix_ResNet50_vd_ssld_v2", 320, 1.0, 84.00, 97.00, _WSL, (_FIX,)),
    ("ssld_resnet101d", "ResNet101_vd", "legendary_models/ResNet101_vd_ssld", 224, 0.875, 83.73, 96.69, _WSL, ()),
    ("ssld_res2net50d", "Res2Net50_vd_26w_4s", "Res2Net50_vd_26w_4s_ssld", 224, 0.875, 83.1, None, _WSL, ()),
    ("ssld_res2net101d", "Res2Net101_vd_26w_4s", "Res2Net101_vd_26w_4s_ssld", 224, 0.875, 83.9, None, _WSL, ()),
    ("ssld_mobilenetv1", "MobileNetV1", "legendary_models/MobileNetV1_ssld", 224, 0.875, 77.89, 93.94, _R50, ()),
    ("ssld_mobilenetv2", "MobileNetV2", "MobileNetV2_ssld", 224, 0.875, 76.74, 93.39, _R50, (_MNV2,)),
    (
        "ssld_mobilenetv3_large_100",
        "MobileNetV3_large_x1_0",
        "legendary_models/MobileNetV3_large_x1_0_ssld",
        224,
        0.875,
        78.96,
        94.48,
        _R50,
        (),
    ),
    (
        "ssld_mobilenetv3_small_100",
        "MobileNetV3_small_x1_0",
        "legendary_models/MobileNetV3_small_x1_0_ssld",
        224,
        0.875,
        71.29,
        90.10,
        ("ssld_mobilenetv3_large_100",),
        (),
    ),
    (
        "ssld_mobilenetv3_small_035",
        "MobileNetV3_small_x0_35",
        "legendary_models/MobileNetV3_small_x0_35_ssld",
        224,
        0.875,
        55.55,
        77.71,
        ("ssld_mobilenetv3_large_100",),
        (),
    ),
    ("ssld_ghostnet_130", "GhostNet_x1_3", "GhostNet_x1_3_ssld", 224, 0.875, 79.38, 94.49, _R50, ()),
    ("ssld_lcnet_025", "PPLCNet_x0_25", "legendary_models/PPLCNet_x0_25_ssld", 224, 0.875, 53.43, None, _R50, ()),
    ("ssld_lcnet_050", "PPLCNet_x0_5", "legendary_models/PPLCNet_x0_5_ssld", 224, 0.875, 66.10, 86.46, _R50, ()),
    ("ssld_lcnet_100", "PPLCNet_x1_0", "legendary_models/PPLCNet_x1_0_ssld", 224, 0.875, 74.39, 92.09, _R50, ()),
    ("ssld_lcnet_250", "PPLCNet_x2_5", "legendary_models/PPLCNet_x2_5_ssld", 224, 0.875, 80.82, 95.33, _R50, ()),
)
_FROM_SSLD_DOC = ("ssld_res2net50d", "ssld_res2net101d", "ssld_lcnet_025")

ENTRIES = tuple(
    Entry(
        name=name,
        group="ssld",
        architecture=CONVERSIONS[network].architecture,
        model_args=dict(CONVERSIONS[network].model_args),
        format="pdparams",
        address=f"{BASE}{file}_pretrained.pdparams",
        network=network,
        licence="apache-2.0",
        image_size=size,
        crop_pct=crop_pct,
        results=(
            Published(
                top1=top1,
                top5=top5,
                image_size=size,
                crop_pct=crop_pct,
                interpolation="bilinear",
                source=_SSLD_DOC if name in _FROM_SSLD_DOC else _DOCS,
            ),
        ),
        paper="pp_lcnet" if "lcnet" in name else "ssld",
        teachers=teachers,
        notes=(*notes, _CV2),
    )
    for name, network, file, size, crop_pct, top1, top5, teachers, notes in _ROWS
)
