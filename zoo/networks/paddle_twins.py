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
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet
from timm.models.ghostnet import GhostBottleneck, GhostNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.res2net import Bottle2neck
from timm.models.resnet import BasicBlock, Bottleneck, ResNet, downsample_avg
from torch import Tensor, nn


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
default_cfgs = generate_default_cfgs(
    {
        "resnet34d_paddle": _RESNET,
        "resnet200d_paddle": _RESNET,
        "res2net50d_paddle": _RESNET,
        "res2net101d_paddle": _RESNET,
        "mobilenetv2_100_paddle": _MOBILE,
        "mobilenetv3_large_100_paddle": _MOBILE,
        "mobilenetv3_small_100_paddle": _MOBILE,
        "mobilenetv3_small_035_paddle": _MOBILE,
        "lcnet_025_paddle": _MOBILE,
        "lcnet_250_paddle": _MOBILE,
        "ghostnet_130_paddle": _MOBILE,
    }
)


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


@register_model
def resnet34d_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet34_vd: resnet34d with a projection in the shortcut of its first block."""
    arguments = {"block": BasicBlock, "layers": (3, 4, 6, 3), "stem_width": 32, "stem_type": "deep", "avg_down": True}
    return _build(ProjectedResNet, "resnet34d_paddle", pretrained, arguments | kwargs)


@register_model
def resnet200d_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet200_vd: timm's resnet200d has its blocks in other stages (3, 24, 36, 3)."""
    arguments = {"block": Bottleneck, "layers": (3, 12, 48, 3), "stem_width": 32, "stem_type": "deep", "avg_down": True}
    return _build(ResNet, "resnet200d_paddle", pretrained, arguments | kwargs)


@register_model
def res2net50d_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Res2Net50_vd_26w_4s."""
    return _build(ResNet, "res2net50d_paddle", pretrained, _res2net_vd((3, 4, 6, 3)) | kwargs)


@register_model
def res2net101d_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Res2Net101_vd_26w_4s."""
    return _build(ResNet, "res2net101d_paddle", pretrained, _res2net_vd((3, 4, 23, 3)) | kwargs)


def _res2net_vd(layers: tuple[int, ...]) -> dict[str, Any]:
    return {
        "block": VdBottle2neck,
        "layers": layers,
        "base_width": 26,
        "block_args": {"scale": 4},
        "stem_type": "deep",
        "stem_width": 32,
        "avg_down": True,
    }


# MobileNetV2 and V3 ------------------------------------------------------------------------------------------------


class SlopeFifthHardSigmoid(nn.Module):
    """clip(0.2 x + 0.5, 0, 1): the gate of Paddle's MobileNetV3 (torch's hard sigmoid has the slope 1/6)."""

    def forward(self, x: Tensor) -> Tensor:
        return (0.2 * x + 0.5).clamp(0.0, 1.0)


class UnitClip(nn.Module):
    """clip(x, 0, 1): the gate of Paddle's GhostNet."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, 1.0)


@register_model
def mobilenetv2_100_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MobileNetV2: its first block has an expansion convolution (32 to 32), which timm's leaves out."""
    stages = [
        ["ir_r1_k3_s1_e1_c16"],
        ["ir_r2_k3_s2_e6_c24"],
        ["ir_r3_k3_s2_e6_c32"],
        ["ir_r4_k3_s2_e6_c64"],
        ["ir_r3_k3_s1_e6_c96"],
        ["ir_r3_k3_s2_e6_c160"],
        ["ir_r1_k3_s1_e6_c320"],
    ]
    arguments = {"block_args": decode_arch_def(stages), "num_features": 1280, "stem_size": 32, "act_layer": nn.ReLU6}
    return _build(EfficientNet, "mobilenetv2_100_paddle", pretrained, arguments | kwargs)


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
    }


@register_model
def mobilenetv3_large_100_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MobileNetV3_large_x1_0."""
    arguments = _mobilenet_v3(_V3_LARGE, 960, 1.0)
    return _build(MobileNetV3, "mobilenetv3_large_100_paddle", pretrained, arguments | kwargs)


@register_model
def mobilenetv3_small_100_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MobileNetV3_small_x1_0."""
    arguments = _mobilenet_v3(_V3_SMALL, 576, 1.0)
    return _build(MobileNetV3, "mobilenetv3_small_100_paddle", pretrained, arguments | kwargs)


@register_model
def mobilenetv3_small_035_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MobileNetV3_small_x0_35."""
    arguments = _mobilenet_v3(_V3_SMALL, 576, 0.35)
    return _build(MobileNetV3, "mobilenetv3_small_035_paddle", pretrained, arguments | kwargs)


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
    }


@register_model
def lcnet_025_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """PPLCNet_x0_25, a width that timm has no name for."""
    return _build(MobileNetV3, "lcnet_025_paddle", pretrained, _lcnet(0.25) | kwargs)


@register_model
def lcnet_250_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """PPLCNet_x2_5, a width that timm has no name for."""
    return _build(MobileNetV3, "lcnet_250_paddle", pretrained, _lcnet(2.5) | kwargs)


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


@register_model
def ghostnet_130_paddle(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """GhostNet_x1_3. The table is GhostNet's own: (kernel, expanded width, width, squeeze-excite ratio, stride)."""
    arguments = {"cfgs": _GHOSTNET, "width": 1.3}
    return _build(ClippedGhostNet, "ghostnet_130_paddle", pretrained, arguments | kwargs)


def _build(kind: type[nn.Module], name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    nested = not issubclass(kind, ResNet)  # all but ResNet keep their stages in one nn.Sequential
    model: nn.Module = build_model_with_cfg(
        kind, name, pretrained, feature_cfg={"flatten_sequential": nested}, **arguments
    )
    return model
