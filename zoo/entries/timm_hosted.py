"""SSLD's weights that timm hosts: converted and evaluated by timm, under kdzoo's names.

Numbers: timm's own results at the preprocessing of its record, then at its larger test size, then PaddleClas' own.
"""

from __future__ import annotations

from .entry import TIMM_RESULTS, Entry, Published

_PADDLE = "PaddleClas docs, ImageNet_models_en.md and PP-HGNetV2.md, d178931f"
_WSL = ("resnext101_32x16d.fb_wsl_ig1b_ft_in1k",)
_HGNET = ("ssld_hgnet_small",)
_MIT = "timm's record says mit; PaddleClas, which trained them, publishes under apache-2.0"
_W18 = "PaddleClas gives 81.16 in one table and 81.60 in another, whose link is broken"
_LCNET = "timm's results have no row for it; PaddleClas gives 80.07 and 80.10"
_STAGE_1 = "stage 1 of two: distilled on ImageNet-22k and -1k images; stage 2 is the same name without _stage1"
_NEXTVIT = "distilled on ImageNet-1k with further images (timm's tag: ssld_6m)"

# name, timm's name, (top-1, top-5) at 224 px, at 288 px (both timm's), PaddleClas' top-1 and top-5
_HGNETS: tuple[tuple[str, str, tuple[float, float], tuple[float, float], tuple[float, float | None] | None], ...] = (
    ("hgnet_tiny", "hgnet_tiny.ssld_in1k", (81.942, 96.118), (82.528, 96.520), (81.95, 96.12)),
    ("hgnet_small", "hgnet_small.ssld_in1k", (83.818, 96.846), (84.368, 97.130), (83.82, 96.81)),
    ("hgnet_base", "hgnet_base.ssld_in1k", (84.908, 97.342), (85.488, 97.630), (85.00, 97.35)),
    ("hgnetv2_b0", "hgnetv2_b0.ssld_stage2_ft_in1k", (77.362, 93.808), (78.590, 94.388), (77.77, None)),
    ("hgnetv2_b1", "hgnetv2_b1.ssld_stage2_ft_in1k", (78.884, 94.484), (79.916, 95.164), (79.18, None)),
    ("hgnetv2_b2", "hgnetv2_b2.ssld_stage2_ft_in1k", (81.564, 95.894), (82.362, 96.412), (81.74, None)),
    ("hgnetv2_b3", "hgnetv2_b3.ssld_stage2_ft_in1k", (82.914, 96.360), (83.588, 96.812), (82.98, None)),
    ("hgnetv2_b4", "hgnetv2_b4.ssld_stage2_ft_in1k", (83.700, 96.788), (83.952, 97.066), (83.57, None)),
    ("hgnetv2_b5", "hgnetv2_b5.ssld_stage2_ft_in1k", (84.824, 97.294), (85.158, 97.588), (84.75, None)),
    ("hgnetv2_b6", "hgnetv2_b6.ssld_stage2_ft_in1k", (86.206, 97.810), (86.380, 97.942), (86.30, None)),
    ("hgnetv2_b0_stage1", "hgnetv2_b0.ssld_stage1_in22k_in1k", (76.868, 93.620), (78.038, 94.244), None),
    ("hgnetv2_b1_stage1", "hgnetv2_b1.ssld_stage1_in22k_in1k", (78.080, 94.172), (79.050, 94.890), None),
    ("hgnetv2_b2_stage1", "hgnetv2_b2.ssld_stage1_in22k_in1k", (80.742, 95.500), (81.456, 96.016), None),
    ("hgnetv2_b3_stage1", "hgnetv2_b3.ssld_stage1_in22k_in1k", (82.594, 96.364), (83.118, 96.712), None),
    ("hgnetv2_b4_stage1", "hgnetv2_b4.ssld_stage1_in22k_in1k", (82.892, 96.632), (83.450, 96.920), None),
    ("hgnetv2_b5_stage1", "hgnetv2_b5.ssld_stage1_in22k_in1k", (84.456, 97.218), (84.930, 97.494), None),
    ("hgnetv2_b6_stage1", "hgnetv2_b6.ssld_stage1_in22k_in1k", (86.052, 97.806), (86.300, 97.942), None),
)
# name, timm's name, (top-1, top-5) at 224 px, at 288 px (both timm's), PaddleClas' numbers, notes
_HRNETS = (
    ("hrnet_w18", "hrnet_w18_ssld.paddle_in1k", (81.114, 95.638), (82.052, 96.250), (81.16, 95.80), (_W18, _MIT)),
    ("hrnet_w48", "hrnet_w48_ssld.paddle_in1k", (83.656, 96.848), (84.484, 97.224), (83.63, 96.82), (_MIT,)),
)
# name, timm's name, pixels, crop_pct, top-1, top-5 (timm's)
_NEXTVITS = (
    ("nextvit_small", "nextvit_small.bd_ssld_6m_in1k", 224, 0.95, 84.872, 97.372),
    ("nextvit_base", "nextvit_base.bd_ssld_6m_in1k", 224, 0.95, 85.186, 97.600),
    ("nextvit_large", "nextvit_large.bd_ssld_6m_in1k", 224, 0.95, 85.514, 97.678),
    ("nextvit_small_384", "nextvit_small.bd_ssld_6m_in1k_384", 384, 1.0, 85.966, 97.904),
    ("nextvit_base_384", "nextvit_base.bd_ssld_6m_in1k_384", 384, 1.0, 86.372, 98.040),
    ("nextvit_large_384", "nextvit_large.bd_ssld_6m_in1k_384", 384, 1.0, 86.544, 98.126),
)


def _timm(numbers: tuple[float, float], size: int, crop_pct: float, interpolation: str) -> Published:
    return Published(
        top1=numbers[0],
        top5=numbers[1],
        image_size=size,
        crop_pct=crop_pct,
        interpolation=interpolation,
        source=TIMM_RESULTS,
    )


def _paddle(numbers: tuple[float, float | None], crop_pct: float, interpolation: str) -> Published:
    return Published(
        top1=numbers[0],
        top5=numbers[1],
        image_size=224,
        crop_pct=crop_pct,
        interpolation=interpolation,
        source=_PADDLE,
    )


def _hgnets() -> tuple[Entry, ...]:
    return tuple(
        Entry(
            name=f"ssld_{name}",
            group="ssld",
            architecture=timm_name.split(".")[0],
            format="timm",
            address=f"hf-hub:timm/{timm_name}",
            timm_name=timm_name,
            licence="apache-2.0",
            interpolation="bicubic",
            crop_pct=0.965,
            results=(
                _timm(small, 224, 0.965, "bicubic"),
                _timm(large, 288, 1.0, "bicubic"),
                *([_paddle(theirs, 0.949, "bicubic")] if theirs else []),  # short side 236, crop 224
            ),
            paper="pp_hgnet",
            teachers=_HGNET if name.startswith("hgnetv2") else (),
            notes=(_STAGE_1,) if name.endswith("_stage1") else (),
        )
        for name, timm_name, small, large, theirs in _HGNETS
    )


def _hrnets() -> tuple[Entry, ...]:
    return tuple(
        Entry(
            name=f"ssld_{name}",
            group="ssld",
            architecture=timm_name.split(".")[0],
            format="timm",
            address=f"hf-hub:timm/{timm_name}",
            timm_name=timm_name,
            licence="mit",
            crop_pct=0.95,
            results=(
                _timm(small, 224, 0.95, "bilinear"),
                _timm(large, 288, 1.0, "bilinear"),
                _paddle(theirs, 0.875, "bilinear"),
            ),
            paper="ssld",
            teachers=_WSL,
            notes=notes,
        )
        for name, timm_name, small, large, theirs, notes in _HRNETS
    )


def _nextvits() -> tuple[Entry, ...]:
    return tuple(
        Entry(
            name=f"ssld_{name}",
            group="ssld",
            architecture=timm_name.split(".")[0],
            format="timm",
            address=f"hf-hub:timm/{timm_name}",
            timm_name=timm_name,
            licence="apache-2.0",
            image_size=size,
            interpolation="bicubic",
            crop_pct=crop_pct,
            results=(_timm((top1, top5), size, crop_pct, "bicubic"),),
            paper="nextvit",
            notes=(_NEXTVIT,),
        )
        for name, timm_name, size, crop_pct, top1, top5 in _NEXTVITS
    )


_LCNETV2 = Entry(
    name="ssld_lcnetv2_base",
    group="ssld",
    architecture="lcnetv2_base",
    format="timm",
    address="hf-hub:timm/lcnetv2_base.ssld_in1k",
    timm_name="lcnetv2_base.ssld_in1k",
    licence="apache-2.0",
    interpolation="bicubic",
    results=(_paddle((80.10, 94.87), 0.875, "bilinear"),),
    paper="pp_lcnet",
    notes=(_LCNET,),
)

ENTRIES = (*_hrnets(), *_hgnets(), *_nextvits(), _LCNETV2)
