"""MobileNetV1, V2 and V3, PP-LCNet and GhostNet."""

from __future__ import annotations

from collections.abc import Sequence

from .rows import LEGENDARY, Row, conv, conv_bn, each, linear, linear_to_conv, numbered
from .table import Conversion, legendary, plain

# Dropout(0.2, mode="downscale_in_infer") stands before the classifier of MobileNetV3 and PP-LCNet.
_KEPT = 1 - 0.2

_STEM_TARGET = ("conv_stem", "bn1")
_BLOCK = "blocks.{s}.{i}"


def _separable(depthwise: str, pointwise: str) -> tuple[Row, Row]:
    return (
        conv_bn(depthwise, f"{_BLOCK}.conv_dw", f"{_BLOCK}.bn1"),
        conv_bn(pointwise, f"{_BLOCK}.conv_pw", f"{_BLOCK}.bn2"),
    )


def _inverted(expand: str, depthwise: str, project: str) -> tuple[Row, Row, Row]:
    return (
        conv_bn(expand, f"{_BLOCK}.conv_pw", f"{_BLOCK}.bn1"),
        conv_bn(depthwise, f"{_BLOCK}.conv_dw", f"{_BLOCK}.bn2"),
        conv_bn(project, f"{_BLOCK}.conv_pwl", f"{_BLOCK}.bn3"),
    )


def _squeeze_excite(source: str) -> tuple[Row, Row]:
    return (
        conv(f"{source}.conv1", f"{_BLOCK}.se.conv_reduce", bias=True, optional=True),
        conv(f"{source}.conv2", f"{_BLOCK}.se.conv_expand", bias=True, optional=True),
    )


_V1_DEPTHS = (1, 2, 2, 6, 2)
_V1_NAMES = (
    *("conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2"),
    *("conv5_1", "conv5_2", "conv5_3", "conv5_4", "conv5_5", "conv5_6", "conv6"),
)
MOBILENET_V1 = Conversion(
    network="MobileNetV1",
    architecture="mobilenetv1_100",
    model_args={"act_layer": "relu"},
    dialects={
        "plain": plain(
            conv_bn("conv1", *_STEM_TARGET),
            each(
                [{**block, "name": name} for block, name in zip(numbered(_V1_DEPTHS), _V1_NAMES, strict=True)],
                *_separable("{name}._depthwise_conv", "{name}._pointwise_conv"),
            ),
            linear("out", "classifier"),
        ),
        "legendary": legendary(
            conv_bn("conv", *_STEM_TARGET),
            each(numbered(_V1_DEPTHS), *_separable("blocks.{n}.depthwise_conv", "blocks.{n}.pointwise_conv")),
            linear("fc", "classifier"),
        ),
    },
)


def _v2_blocks() -> list[dict[str, object]]:
    """MobileNetV2's stages are conv2 to conv8; a stage's first block is `_first_block`, the others `conv{k}_{j}`."""
    return [
        {
            **block,
            "name": f"conv{block['s'] + 2}."
            + (f"conv{block['s'] + 2}_{block['i'] + 1}" if block["i"] else "_first_block"),
        }
        for block in numbered((1, 2, 3, 4, 3, 3, 1))
    ]


MOBILENET_V2 = Conversion(
    network="MobileNetV2",
    architecture="mobilenetv2_100_paddle",
    dialects={
        "plain": plain(
            conv_bn("conv1", *_STEM_TARGET),
            each(_v2_blocks(), *_inverted("{name}._expand_conv", "{name}._bottleneck_conv", "{name}._linear_conv")),
            conv_bn("conv9", "conv_head", "bn2"),
            linear("out", "classifier"),
        )
    },
)


def _mobilenet_v3(network: str, architecture: str, depths: Sequence[int]) -> Conversion:
    blocks = [{**block, "k": block["n"] + 2} for block in numbered(depths)]
    last = f"blocks.{len(depths)}.0"

    def body(block: str) -> tuple[Row, ...]:
        names = (f"{block}.expand_conv", f"{block}.bottleneck_conv", f"{block}.linear_conv")
        return (*_inverted(*names), *_squeeze_excite(f"{block}.mid_se"))

    head = (conv_bn("last_second_conv", f"{last}.conv", f"{last}.bn1"), conv("last_conv", "conv_head"))
    return Conversion(
        network=network,
        architecture=architecture,
        classifier_scale=_KEPT,
        dialects={
            "plain": plain(
                conv_bn("conv1", *_STEM_TARGET),
                each(blocks, *body("conv{k}")),
                head,
                linear("out", "classifier"),
                naming=LEGENDARY,  # this family wrote conv and bn from the beginning
            ),
            "legendary": legendary(
                conv_bn("conv", *_STEM_TARGET), each(blocks, *body("blocks.{n}")), head, linear("fc", "classifier")
            ),
        },
    )


def _lcnet_blocks() -> list[dict[str, object]]:
    """blocks2 to blocks6 hold 1, 2, 2, 6 and 2 units; timm cuts the six of blocks5 into stages of 2 and 4."""
    sources = [(k, j) for k, depth in zip((2, 3, 4, 5, 6), (1, 2, 2, 6, 2)) for j in range(depth)]
    return [{**block, "k": k, "j": j} for block, (k, j) in zip(numbered((1, 2, 2, 2, 4, 2)), sources, strict=True)]


def _lcnet(network: str, architecture: str, *, head_bias: bool | None = None) -> Conversion:
    return Conversion(
        network=network,
        architecture=architecture,
        model_args={} if head_bias is None else {"head_bias": head_bias},
        classifier_scale=_KEPT,
        dialects={
            "legendary": legendary(
                conv_bn("conv1", *_STEM_TARGET),
                each(
                    _lcnet_blocks(),
                    *_separable("blocks{k}.{j}.dw_conv", "blocks{k}.{j}.pw_conv"),
                    *_squeeze_excite("blocks{k}.{j}.se"),
                ),
                conv("last_conv", "conv_head"),
                linear("fc", "classifier"),
            )
        },
    )


def _ghost_module(source: str, target: str) -> tuple[Row, Row]:
    return (
        conv_bn(f"{source}.primary_conv", f"{target}.primary_conv.0", f"{target}.primary_conv.1"),
        conv_bn(f"{source}.cheap_operation", f"{target}.cheap_operation.0", f"{target}.cheap_operation.1"),
    )


_GHOST = "_ghostbottleneck_{n}"
GHOSTNET = Conversion(
    network="GhostNet_x1_3",
    architecture="ghostnet_130_paddle",
    dialects={
        "plain": plain(
            conv_bn("conv1", *_STEM_TARGET),
            each(
                numbered((1, 1, 1, 1, 1, 1, 5, 1, 4)),
                *_ghost_module(f"{_GHOST}.ghost_module_1", f"{_BLOCK}.ghost1"),
                *_ghost_module(f"{_GHOST}.ghost_module_2", f"{_BLOCK}.ghost2"),
                conv_bn(f"{_GHOST}.depthwise_conv", f"{_BLOCK}.conv_dw", f"{_BLOCK}.bn_dw", optional=True),
                linear_to_conv(f"{_GHOST}.se_block.squeeze", f"{_BLOCK}.se.conv_reduce", optional=True),
                linear_to_conv(f"{_GHOST}.se_block.excitation", f"{_BLOCK}.se.conv_expand", optional=True),
                conv_bn(f"{_GHOST}.shortcut_depthwise", f"{_BLOCK}.shortcut.0", f"{_BLOCK}.shortcut.1", optional=True),
                conv_bn(f"{_GHOST}.shortcut_conv", f"{_BLOCK}.shortcut.2", f"{_BLOCK}.shortcut.3", optional=True),
            ),
            conv_bn("conv_last", "blocks.9.0.conv", "blocks.9.0.bn1"),
            conv_bn("fc_0", "conv_head", "act2"),
            linear("fc_1", "classifier"),
        )
    },
)

MOBILE_NETWORKS = (
    MOBILENET_V1,
    MOBILENET_V2,
    _mobilenet_v3("MobileNetV3_large_x1_0", "mobilenetv3_large_100_paddle", (1, 2, 3, 4, 2, 3)),
    _mobilenet_v3("MobileNetV3_small_x1_0", "mobilenetv3_small_100_paddle", (1, 2, 3, 2, 3)),
    _mobilenet_v3("MobileNetV3_small_x0_35", "mobilenetv3_small_035_paddle", (1, 2, 3, 2, 3)),
    _lcnet("PPLCNet_x0_25", "lcnet_025_paddle"),
    _lcnet("PPLCNet_x0_5", "lcnet_050", head_bias=False),
    _lcnet("PPLCNet_x1_0", "lcnet_100", head_bias=False),
    _lcnet("PPLCNet_x2_5", "lcnet_250_paddle"),
    GHOSTNET,
)
