"""Other distilled weights that timm hosts, under timm's own names.

Numbers are timm's results at the preprocessing of its record.
"""

from __future__ import annotations

from .entry import HALF, IMAGENET_MEAN, IMAGENET_STD, TIMM_RESULTS, Entry, Published

_REGNET = ("RegNetY-16GF",)
_TEACHERS = {
    "tiny_vit": ("CLIP ViT-L/14, fine-tuned on ImageNet-22k",),
    "patient_teacher": ("BiT-M ResNet-152x2",),
}
_SQUASHED = "timm evaluates it with crop mode 'squash'; kdzoo shows a centre crop"

# by paper: timm's name, pixels, crop_pct, top-1, top-5
_ROWS: dict[str, tuple[tuple[str, int, float, float, float], ...]] = {
    "deit": (
        ("deit_base_distilled_patch16_224.fb_in1k", 224, 0.9, 83.384, 96.492),
        ("deit_base_distilled_patch16_384.fb_in1k", 384, 1.0, 85.438, 97.332),
        ("deit_small_distilled_patch16_224.fb_in1k", 224, 0.9, 81.204, 95.378),
        ("deit_tiny_distilled_patch16_224.fb_in1k", 224, 0.9, 74.538, 91.898),
    ),
    "cait": (
        ("cait_m36_384.fb_dist_in1k", 384, 1.0, 86.06, 97.732),
        ("cait_m48_448.fb_dist_in1k", 448, 1.0, 86.48, 97.748),
        ("cait_s24_224.fb_dist_in1k", 224, 1.0, 83.484, 96.586),
        ("cait_s24_384.fb_dist_in1k", 384, 1.0, 85.048, 97.35),
        ("cait_s36_384.fb_dist_in1k", 384, 1.0, 85.458, 97.48),
        ("cait_xs24_384.fb_dist_in1k", 384, 1.0, 84.064, 96.888),
        ("cait_xxs24_224.fb_dist_in1k", 224, 1.0, 78.4, 94.326),
        ("cait_xxs24_384.fb_dist_in1k", 384, 1.0, 80.954, 95.638),
        ("cait_xxs36_224.fb_dist_in1k", 224, 1.0, 79.75, 94.866),
        ("cait_xxs36_384.fb_dist_in1k", 384, 1.0, 82.204, 96.148),
    ),
    "levit": (
        ("levit_128.fb_dist_in1k", 224, 0.9, 78.486, 93.998),
        ("levit_128s.fb_dist_in1k", 224, 0.9, 76.52, 92.87),
        ("levit_192.fb_dist_in1k", 224, 0.9, 79.858, 94.808),
        ("levit_256.fb_dist_in1k", 224, 0.9, 81.506, 95.466),
        ("levit_384.fb_dist_in1k", 224, 0.9, 82.6, 96.02),
    ),
    "xcit": (
        ("xcit_large_24_p8_224.fb_dist_in1k", 224, 1.0, 85.396, 97.418),
        ("xcit_large_24_p8_384.fb_dist_in1k", 384, 1.0, 86.024, 97.69),
        ("xcit_large_24_p16_224.fb_dist_in1k", 224, 1.0, 84.936, 97.128),
        ("xcit_large_24_p16_384.fb_dist_in1k", 384, 1.0, 85.778, 97.53),
        ("xcit_medium_24_p8_224.fb_dist_in1k", 224, 1.0, 85.078, 97.274),
        ("xcit_medium_24_p8_384.fb_dist_in1k", 384, 1.0, 85.842, 97.602),
        ("xcit_medium_24_p16_224.fb_dist_in1k", 224, 1.0, 84.292, 96.936),
        ("xcit_medium_24_p16_384.fb_dist_in1k", 384, 1.0, 85.434, 97.408),
        ("xcit_nano_12_p8_224.fb_dist_in1k", 224, 1.0, 76.33, 93.07),
        ("xcit_nano_12_p8_384.fb_dist_in1k", 384, 1.0, 77.81, 94.036),
        ("xcit_nano_12_p16_224.fb_dist_in1k", 224, 1.0, 72.318, 90.826),
        ("xcit_nano_12_p16_384.fb_dist_in1k", 384, 1.0, 75.46, 92.672),
        ("xcit_small_12_p8_224.fb_dist_in1k", 224, 1.0, 84.252, 96.874),
        ("xcit_small_12_p8_384.fb_dist_in1k", 384, 1.0, 85.068, 97.264),
        ("xcit_small_12_p16_224.fb_dist_in1k", 224, 1.0, 83.354, 96.42),
        ("xcit_small_12_p16_384.fb_dist_in1k", 384, 1.0, 84.734, 97.136),
        ("xcit_small_24_p8_224.fb_dist_in1k", 224, 1.0, 84.878, 97.2),
        ("xcit_small_24_p8_384.fb_dist_in1k", 384, 1.0, 85.58, 97.572),
        ("xcit_small_24_p16_224.fb_dist_in1k", 224, 1.0, 83.88, 96.734),
        ("xcit_small_24_p16_384.fb_dist_in1k", 384, 1.0, 85.102, 97.318),
        ("xcit_tiny_12_p8_224.fb_dist_in1k", 224, 1.0, 81.214, 95.614),
        ("xcit_tiny_12_p8_384.fb_dist_in1k", 384, 1.0, 82.394, 96.222),
        ("xcit_tiny_12_p16_224.fb_dist_in1k", 224, 1.0, 78.572, 94.21),
        ("xcit_tiny_12_p16_384.fb_dist_in1k", 384, 1.0, 80.954, 95.43),
        ("xcit_tiny_24_p8_224.fb_dist_in1k", 224, 1.0, 82.578, 96.186),
        ("xcit_tiny_24_p8_384.fb_dist_in1k", 384, 1.0, 83.784, 96.716),
        ("xcit_tiny_24_p16_224.fb_dist_in1k", 224, 1.0, 80.462, 95.202),
        ("xcit_tiny_24_p16_384.fb_dist_in1k", 384, 1.0, 82.58, 96.254),
    ),
    "resmlp": (
        ("resmlp_12_224.fb_distilled_in1k", 224, 0.875, 77.948, 93.57),
        ("resmlp_24_224.fb_distilled_in1k", 224, 0.875, 80.766, 95.22),
        ("resmlp_36_224.fb_distilled_in1k", 224, 0.875, 81.15, 95.508),
        ("resmlp_big_24_224.fb_distilled_in1k", 224, 0.875, 83.594, 96.658),
    ),
    "pit": (
        ("pit_b_distilled_224.in1k", 224, 0.9, 83.774, 96.468),
        ("pit_s_distilled_224.in1k", 224, 0.9, 81.826, 95.72),
        ("pit_ti_distilled_224.in1k", 224, 0.9, 74.276, 91.92),
        ("pit_xs_distilled_224.in1k", 224, 0.9, 79.172, 94.35),
    ),
    "tiny_vit": (
        ("tiny_vit_5m_224.dist_in22k_ft_in1k", 224, 0.95, 80.874, 95.668),
        ("tiny_vit_11m_224.dist_in22k_ft_in1k", 224, 0.95, 83.232, 96.628),
        ("tiny_vit_21m_224.dist_in22k_ft_in1k", 224, 0.95, 85.088, 97.354),
        ("tiny_vit_21m_384.dist_in22k_ft_in1k", 384, 1.0, 86.088, 97.716),
        ("tiny_vit_21m_512.dist_in22k_ft_in1k", 512, 1.0, 86.444, 97.884),
    ),
    "repvit": (
        ("repvit_m0_9.dist_300e_in1k", 224, 0.95, 78.652, 94.114),
        ("repvit_m0_9.dist_450e_in1k", 224, 0.95, 79.058, 94.388),
        ("repvit_m1.dist_in1k", 224, 0.95, 78.542, 94.082),
        ("repvit_m1_0.dist_300e_in1k", 224, 0.95, 80.152, 94.77),
        ("repvit_m1_0.dist_450e_in1k", 224, 0.95, 80.43, 94.922),
        ("repvit_m1_1.dist_300e_in1k", 224, 0.95, 80.826, 95.174),
        ("repvit_m1_1.dist_450e_in1k", 224, 0.95, 81.314, 95.568),
        ("repvit_m1_5.dist_300e_in1k", 224, 0.95, 82.382, 96.026),
        ("repvit_m1_5.dist_450e_in1k", 224, 0.95, 82.52, 96.112),
        ("repvit_m2.dist_in1k", 224, 0.95, 80.468, 95.172),
        ("repvit_m2_3.dist_300e_in1k", 224, 0.95, 83.524, 96.532),
        ("repvit_m2_3.dist_450e_in1k", 224, 0.95, 83.746, 96.65),
        ("repvit_m3.dist_in1k", 224, 0.95, 81.494, 95.562),
    ),
    "efficientformer": (
        ("efficientformer_l1.snap_dist_in1k", 224, 0.95, 80.502, 94.992),
        ("efficientformer_l3.snap_dist_in1k", 224, 0.95, 82.562, 96.25),
        ("efficientformer_l7.snap_dist_in1k", 224, 0.95, 83.396, 96.532),
    ),
    "efficientformerv2": (
        ("efficientformerv2_l.snap_dist_in1k", 224, 0.95, 83.642, 96.546),
        ("efficientformerv2_s0.snap_dist_in1k", 224, 0.95, 76.102, 92.85),
        ("efficientformerv2_s1.snap_dist_in1k", 224, 0.95, 79.684, 94.712),
        ("efficientformerv2_s2.snap_dist_in1k", 224, 0.95, 82.156, 95.912),
    ),
    "fastvit": (
        ("fastvit_ma36.apple_dist_in1k", 256, 0.95, 84.608, 96.996),
        ("fastvit_s12.apple_dist_in1k", 256, 0.9, 81.074, 95.278),
        ("fastvit_sa12.apple_dist_in1k", 256, 0.9, 81.838, 95.7),
        ("fastvit_sa24.apple_dist_in1k", 256, 0.9, 83.368, 96.574),
        ("fastvit_sa36.apple_dist_in1k", 256, 0.9, 84.028, 96.85),
        ("fastvit_t8.apple_dist_in1k", 256, 0.9, 77.17, 93.274),
        ("fastvit_t12.apple_dist_in1k", 256, 0.9, 80.364, 95.04),
    ),
    "swiftformer": (
        ("swiftformer_l1.dist_in1k", 224, 0.95, 80.906, 95.374),
        ("swiftformer_l3.dist_in1k", 224, 0.95, 82.994, 96.236),
        ("swiftformer_s.dist_in1k", 224, 0.95, 78.462, 93.98),
        ("swiftformer_xs.dist_in1k", 224, 0.95, 75.6, 92.314),
    ),
    "patient_teacher": (("resnetv2_50x1_bit.goog_distilled_in1k", 224, 0.875, 82.82, 96.526),),
}

ENTRIES = tuple(
    Entry(
        name=name,
        group="distilled",
        architecture=name.split(".")[0],
        format="timm",
        address=f"hf-hub:timm/{name}",
        timm_name=name,
        licence="fastvit-license" if paper == "fastvit" else "apache-2.0",
        image_size=size,
        mean=HALF if paper == "patient_teacher" else IMAGENET_MEAN,
        std=HALF if paper == "patient_teacher" else IMAGENET_STD,
        interpolation="bicubic",
        crop_pct=crop_pct,
        results=(
            Published(
                top1=top1,
                top5=top5,
                image_size=size,
                crop_pct=crop_pct,
                interpolation="bicubic",
                source=TIMM_RESULTS,
            ),
        ),
        paper=paper,
        teachers=_TEACHERS.get(paper, _REGNET),
        notes=(_SQUASHED,) if name == "tiny_vit_21m_512.dist_in22k_ft_in1k" else (),
    )
    for paper, rows in _ROWS.items()
    for name, size, crop_pct, top1, top5 in rows
)
