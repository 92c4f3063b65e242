"""timm models that compute exactly what PaddleClas' networks compute, where timm's own differ.

Each is timm's architecture with the one or two changes that the released weights need; the names are registered with
timm, so that `timm.create_model("mobilenetv3_large_100_paddle")` and saved `local-dir:` folders work once `kdzoo.zoo`
is imported. Networks of which timm has the exact twin (ResNet50_vd is `resnet50d`) are not here. Definitions:
PaddleClas `develop`, d178931f.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import BatchNormAct2d
from timm.models import generate_default_cfgs
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet
from timm.models.ghostnet import GhostBottleneck, GhostNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.res2net import Bottle2neck
from timm.models.resnet import BasicBlock, Bottleneck, ResNet, downsample_avg
from torch import Tensor, nn

from .small_image import register


def _cfg(first_conv: str, classifier: str) -> dict[str, Any]:
    return {
        "url": "",
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "pool_size": (7, 7),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": first_conv,
        "classifier": classifier,
    }


_MOBILE = _cfg("conv_stem", "classifier")
_RESNET = _cfg("conv1.0", "fc")
_RESNETS = ("resnet34d_paddle", "resnet200d_paddle", "res2net50d_paddle", "res2net101d_paddle")
_MOBILE_NETWORKS = (
    *("mobilenetv2_100_paddle", "mobilenetv3_large_100_paddle", "mobilenetv3_small_100_paddle"),
    *("mobilenetv3_small_035_paddle", "lcnet_025_paddle", "lcnet_250_paddle", "ghostnet_130_paddle"),
)
default_cfgs = generate_default_cfgs({**dict.fromkeys(_RESNETS, _RESNET), **dict.fromkeys(_MOBILE_NETWORKS, _MOBILE)})


# ResNet-vd ---------------------------------------------------------------------------------------------------------


class ProjectedResNet(ResNet):
    """A ResNet-D of basic blocks whose first block, too, projects its shortcut (1x1 convolution and BatchNorm)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        first: Any = self.get_submodule("layer1.0")
        projection: Any = downsample_avg(64, 64, 1, norm_layer=kwargs.get("norm_layer"))
        nn.init.kaiming_normal_(projection[1].weight, mode="fan_out", nonlinearity="relu")
        first.downsample = projection.to(first.conv1.weight.device, first.conv1.weight.dtype)


class VdBottle2neck(Bottle2neck):
    """The block of Res2Net-vd: splits are chained wherever the stride is 1; the pool does not count padding."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, *args: Any, **kwargs: Any) -> None:
        super().__init__(inplanes, planes, stride, *args, **kwargs)
        self.is_first = stride > 1
        pool: Any = nn.AvgPool2d(3, stride, 1, count_include_pad=False) if stride > 1 else None
        self.pool = pool


def _resnet_vd(block: type[nn.Module], layers: tuple[int, ...]) -> dict[str, Any]:
    return {"block": block, "layers": layers, "stem_width": 32, "stem_type": "deep", "avg_down": True}


def _res2net_vd(layers: tuple[int, ...]) -> dict[str, Any]:
    return {**_resnet_vd(VdBottle2neck, layers), "base_width": 26, "block_args": {"scale": 4}}


# MobileNetV2 and V3 ------------------------------------------------------------------------------------------------


class SlopeFifthHardSigmoid(nn.Module):
    """clip(0.2 x + 0.5, 0, 1): the gate of Paddle's MobileNetV3 (torch's hard sigmoid has the slope 1/6)."""

    def forward(self, x: Tensor) -> Tensor:
        return (0.2 * x + 0.5).clamp(0.0, 1.0)


class UnitClip(nn.Module):
    """clip(x, 0, 1): the gate of Paddle's GhostNet."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, 1.0)


def _mobilenet_v2() -> dict[str, Any]:
    stages = [
        ["ir_r1_k3_s1_e1_c16"],
        ["ir_r2_k3_s2_e6_c24"],
        ["ir_r3_k3_s2_e6_c32"],
        ["ir_r4_k3_s2_e6_c64"],
        ["ir_r3_k3_s1_e6_c96"],
        ["ir_r3_k3_s2_e6_c160"],
        ["ir_r1_k3_s1_e6_c320"],
    ]
    return {
        "block_args": decode_arch_def(stages),
        "num_features": 1280,
        "stem_size": 32,
        "act_layer": nn.ReLU6,
        "feature_cfg": {"flatten_sequential": True},  # all but ResNet keep their stages in one nn.Sequential
    }


# (kernel, expanded width, output width, squeeze-excite, hard-swish (else ReLU), stride) a block, by stage
_V3Block = tuple[int, int, int, bool, bool, int]
_V3_LARGE: tuple[tuple[_V3Block, ...], ...] = (
    ((3, 16, 16, False, False, 1),),
    ((3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1)),
    ((5, 72, 40, True, False, 2), (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1)),
    (
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
    ),
    ((3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1)),
    ((5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1)),
)
_V3_SMALL: tuple[tuple[_V3Block, ...], ...] = (
    ((3, 16, 16, True, False, 2),),
    ((3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1)),
    ((5, 96, 40, True, True, 2), (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1)),
    ((5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1)),
    ((5, 288, 96, True, True, 2), (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1)),
)


def _mobilenet_v3(stages: Sequence[Sequence[_V3Block]], last_width: int, width: float) -> dict[str, Any]:
    """Arguments of timm's MobileNetV3, every width rounded from its absolute value as Paddle rounds it."""
    stem = incoming = int(round_channels(16, width))
    written: list[list[str]] = []
    for stage in stages:
        blocks = []
        for kernel, expanded, out, squeeze, hard_swish, stride in stage:
            ratio = round_channels(expanded, width) / incoming
            incoming = int(round_channels(out, width))
            text = f"ir_r1_k{kernel}_s{stride}_e{ratio!r}_c{incoming}"
            blocks.append(text + ("_se0.25" if squeeze else "") + ("" if hard_swish else "_nre"))
        written.append(blocks)
    written.append([f"cn_r1_k1_s1_c{round_channels(last_width, width)}"])
    return {
        "block_args": decode_arch_def(written),
        "stem_size": stem,
        "fix_stem": True,
        "num_features": 1280,
        "head_bias": False,
        "round_chs_fn": int,
        "act_layer": nn.Hardswish,
        "se_layer": partial(SqueezeExcite, gate_layer=SlopeFifthHardSigmoid, force_act_layer=nn.ReLU, rd_round_fn=int),
        "feature_cfg": {"flatten_sequential": True},
    }


# PP-LCNet and GhostNet ---------------------------------------------------------------------------------------------


def _lcnet(width: float) -> dict[str, Any]:
    stages = [
        ["dsa_r1_k3_s1_c32"],
        ["dsa_r2_k3_s2_c64"],
        ["dsa_r2_k3_s2_c128"],
        ["dsa_r1_k3_s2_c256", "dsa_r1_k5_s1_c256"],
        ["dsa_r4_k5_s1_c256"],
        ["dsa_r2_k5_s2_c512_se0.25"],
    ]
    return {
        "block_args": decode_arch_def(stages),
        "stem_size": 16,
        "num_features": 1280,
        "head_bias": False,
        "round_chs_fn": partial(round_channels, multiplier=width),
        "act_layer": nn.Hardswish,
        "se_layer": partial(SqueezeExcite, gate_layer=nn.Hardsigmoid, force_act_layer=nn.ReLU),
        "feature_cfg": {"flatten_sequential": True},
    }


class ClippedGhostNet(GhostNet):
    """GhostNet as Paddle has it.

    Squeeze-excite of width // 4 with the gate clip(x, 0, 1), and a BatchNorm after the head's convolution.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        like: dict[str, Any] = {"device": self.conv_head.weight.device, "dtype": self.conv_head.weight.dtype}
        blocks: list[Any] = [module for module in self.modules() if isinstance(module, GhostBottleneck)]
        for block in blocks:
            if block.se is not None:
                channels = block.se.conv_reduce.in_channels
                block.se = SqueezeExcite(channels, rd_channels=channels // 4, gate_layer=UnitClip, **like)
        self.conv_head = nn.Conv2d(self.conv_head.in_channels, self.conv_head.out_channels, 1, bias=False, **like)
        activated_norm: Any = BatchNormAct2d(self.conv_head.out_channels, act_layer=nn.ReLU, **like)
        self.act2 = activated_norm


# GhostNet's own table: (kernel, expanded width, width, squeeze-excite ratio, stride)
_GHOSTNET = (
    ((3, 16, 16, 0, 1),),
    ((3, 48, 24, 0, 2),),
    ((3, 72, 24, 0, 1),),
    ((5, 72, 40, 0.25, 2),),
    ((5, 120, 40, 0.25, 1),),
    ((3, 240, 80, 0, 2),),
    ((3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 0.25, 1), (3, 672, 112, 0.25, 1)),
    ((5, 672, 160, 0.25, 2),),
    ((5, 960, 160, 0, 1), (5, 960, 160, 0.25, 1), (5, 960, 160, 0, 1), (5, 960, 160, 0.25, 1)),
)


def _ghostnet() -> dict[str, Any]:
    return {"cfgs": _GHOSTNET, "width": 1.3, "feature_cfg": {"flatten_sequential": True}}


_ANOTHER_WIDTH = "a width that timm has no name for."
register(
    __name__,
    ProjectedResNet,
    {
        "resnet34d_paddle": (
            "ResNet34_vd: resnet34d with a projection in the shortcut of its first block.",
            partial(_resnet_vd, BasicBlock, (3, 4, 6, 3)),
        )
    },
)
register(
    __name__,
    ResNet,
    {
        "resnet200d_paddle": (
            "ResNet200_vd: timm's resnet200d has its blocks in other stages (3, 24, 36, 3).",
            partial(_resnet_vd, Bottleneck, (3, 12, 48, 3)),
        ),
        "res2net50d_paddle": ("Res2Net50_vd_26w_4s.", partial(_res2net_vd, (3, 4, 6, 3))),
        "res2net101d_paddle": ("Res2Net101_vd_26w_4s.", partial(_res2net_vd, (3, 4, 23, 3))),
    },
)
register(
    __name__,
    EfficientNet,
    {
        "mobilenetv2_100_paddle": (
            "MobileNetV2: its first block has an expansion convolution (32 to 32), which timm's leaves out.",
            _mobilenet_v2,
        )
    },
)
register(
    __name__,
    MobileNetV3,
    {
        "mobilenetv3_large_100_paddle": ("MobileNetV3_large_x1_0.", partial(_mobilenet_v3, _V3_LARGE, 960, 1.0)),
        "mobilenetv3_small_100_paddle": ("MobileNetV3_small_x1_0.", partial(_mobilenet_v3, _V3_SMALL, 576, 1.0)),
        "mobilenetv3_small_035_paddle": ("MobileNetV3_small_x0_35.", partial(_mobilenet_v3, _V3_SMALL, 576, 0.35)),
        "lcnet_025_paddle": (f"PPLCNet_x0_25, {_ANOTHER_WIDTH}", partial(_lcnet, 0.25)),
        "lcnet_250_paddle": (f"PPLCNet_x2_5, {_ANOTHER_WIDTH}", partial(_lcnet, 2.5)),
    },
)
register(__name__, ClippedGhostNet, {"ghostnet_130_paddle": ("GhostNet_x1_3.", _ghostnet)})
