"""What the distilled models are compared with: other ways to a better backbone of the same size.

Rows with weights stand under timm's names with timm's numbers; a row without published weights that timm could load
has the paper's number alone, and cannot be pulled.
"""

from __future__ import annotations

from .entry import HALF, IMAGENET_MEAN, IMAGENET_STD, TIMM_RESULTS, Entry, Published

_NC = "cc-by-nc-4.0"
_FIXRES = "FixRes README, c9be6ac"
_JFT = "trained with JFT-300M, images that are not public"
_IG = "pre-trained on 940 million public Instagram images with hashtags"
_YFCC = "pre-trained on YFCC-100M, unlabeled"
_BAD_SAVE = "a bad save, acknowledged by its authors: 83.34 measured, 84.8 in the paper"

# timm's name, pixels, crop_pct, top-1, top-5, licence, paper, notes. Bilinear where the licence is Facebook's or
# torchvision's, bicubic elsewhere; AdvProp has mean = std = 0.5.
_ROWS: tuple[tuple[str, int, float, float, float, str, str, tuple[str, ...]], ...] = (
    ("resnet50.tv_in1k", 224, 0.875, 76.156, 92.866, "bsd-3-clause", "torchvision", ("the vanilla ResNet-50",)),
    ("tf_efficientnet_b2.ns_jft_in1k", 260, 0.89, 82.412, 96.238, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_b3.ns_jft_in1k", 300, 0.904, 84.054, 96.926, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_b5.ns_jft_in1k", 456, 0.934, 86.096, 97.744, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_b6.ns_jft_in1k", 528, 0.942, 86.476, 97.864, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_b7.ns_jft_in1k", 600, 0.949, 86.850, 98.080, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_l2.ns_jft_in1k_475", 475, 0.936, 88.246, 98.554, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_l2.ns_jft_in1k", 800, 0.96, 88.360, 98.656, "apache-2.0", "noisy_student", (_JFT,)),
    ("tf_efficientnet_b0.ap_in1k", 224, 0.875, 77.100, 93.258, "apache-2.0", "advprop", ("77.0 / 93.2 in ExRep",)),
    ("tf_efficientnet_b1.ap_in1k", 240, 0.882, 79.288, 94.316, "apache-2.0", "advprop", ("79.2 / 94.3 in ExRep",)),
    ("tf_efficientnet_b2.ap_in1k", 260, 0.89, 80.300, 95.032, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b3.ap_in1k", 300, 0.904, 81.842, 95.614, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b4.ap_in1k", 380, 0.922, 83.246, 96.392, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b5.ap_in1k", 456, 0.934, 84.258, 96.984, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b6.ap_in1k", 528, 0.942, 84.794, 97.138, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b7.ap_in1k", 600, 0.949, 85.132, 97.256, "apache-2.0", "advprop", ()),
    ("tf_efficientnet_b8.ap_in1k", 672, 0.954, 85.358, 97.298, "apache-2.0", "advprop", ()),
    ("resnet18.fb_swsl_ig1b_ft_in1k", 224, 0.875, 73.286, 91.754, _NC, "billion_scale", (_IG,)),
    (
        "resnet50.fb_swsl_ig1b_ft_in1k",
        *(224, 0.875, 81.146, 95.980, _NC, "billion_scale"),
        (_IG, "SSLD quotes 81.2"),
    ),
    ("resnext101_32x4d.fb_swsl_ig1b_ft_in1k", 224, 0.875, 83.268, 96.760, _NC, "billion_scale", (_IG,)),
    ("resnext101_32x8d.fb_swsl_ig1b_ft_in1k", 224, 0.875, 84.276, 97.188, _NC, "billion_scale", (_IG,)),
    ("resnext101_32x16d.fb_swsl_ig1b_ft_in1k", 224, 0.875, 83.340, 96.844, _NC, "billion_scale", (_IG, _BAD_SAVE)),
    ("resnet18.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 72.636, 91.416, _NC, "billion_scale", (_YFCC,)),
    ("resnet50.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 79.252, 94.826, _NC, "billion_scale", (_YFCC,)),
    ("resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 80.316, 95.386, _NC, "billion_scale", (_YFCC,)),
    ("resnext101_32x4d.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 80.936, 95.732, _NC, "billion_scale", (_YFCC,)),
    ("resnext101_32x8d.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 81.620, 96.036, _NC, "billion_scale", (_YFCC,)),
    ("resnext101_32x16d.fb_ssl_yfcc100m_ft_in1k", 224, 0.875, 81.856, 96.084, _NC, "billion_scale", (_YFCC,)),
    ("resnext101_32x8d.fb_wsl_ig1b_ft_in1k", 224, 0.875, 82.720, 96.624, _NC, "wsl", (_IG,)),
    ("resnext101_32x32d.fb_wsl_ig1b_ft_in1k", 224, 0.875, 85.090, 97.442, _NC, "wsl", (_IG,)),
)

# name, architecture, pixels, top-1, top-5, paper, source, note
_NUMBERS_ALONE: tuple[tuple[str, str, int, float, float, str, str, str], ...] = (
    ("fixres_resnet50_384", "resnet50", 384, 79.0, 94.6, "fixres", _FIXRES, "79.1 / 94.6 with its second augmentation"),
    (
        "fixres_resnet50_cutmix_320",
        *("resnet50", 320, 79.7, 94.9, "fixres", _FIXRES),
        "79.8 / 94.9 with its second augmentation",
    ),
    (
        "fixefficientnet_b0_320",
        *("tf_efficientnet_b0", 320, 80.2, 95.4, "fixefficientnet", _FIXRES),
        "from Noisy Student's weights; ExRep's Table 1 calls it FixNet-B0",
    ),
    (
        "fixefficientnet_b1_384",
        *("tf_efficientnet_b1", 384, 82.6, 96.5, "fixefficientnet", "ExRep, Table 1"),
        "from Noisy Student's weights; ExRep's Table 1 calls it FixNet-B1",
    ),
)
_FIX_LICENCE = "its authors publish a file under CC-BY-NC-4.0, which kdzoo does not pull: the number stands alone"


def _interpolation(licence: str) -> str:
    return "bilinear" if licence in (_NC, "bsd-3-clause") else "bicubic"


ENTRIES = (
    *(
        Entry(
            name=name,
            group="reference",
            architecture=name.split(".")[0],
            format="timm",
            address=f"hf-hub:timm/{name}",
            timm_name=name,
            licence=licence,
            image_size=size,
            mean=HALF if paper == "advprop" else IMAGENET_MEAN,
            std=HALF if paper == "advprop" else IMAGENET_STD,
            interpolation=_interpolation(licence),
            crop_pct=crop_pct,
            results=(
                Published(
                    top1=top1,
                    top5=top5,
                    image_size=size,
                    crop_pct=crop_pct,
                    interpolation=_interpolation(licence),
                    source=TIMM_RESULTS,
                ),
            ),
            paper=paper,
            notes=notes,
        )
        for name, size, crop_pct, top1, top5, licence, paper, notes in _ROWS
    ),
    *(
        Entry(
            name=name,
            group="reference",
            architecture=architecture,
            format="none",
            address="",
            licence=_NC,
            image_size=size,
            results=(
                Published(top1=top1, top5=top5, image_size=size, crop_pct=None, interpolation=None, source=source),
            ),
            paper=paper,
            notes=(note, _FIX_LICENCE),
        )
        for name, architecture, size, top1, top5, paper, source, note in _NUMBERS_ALONE
    ),
)
