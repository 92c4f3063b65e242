"""ResNet-vd and Res2Net-vd."""

from __future__ import annotations

from collections.abc import Sequence

from .rows import Row, conv_bn, each, linear, numbered
from .table import Conversion, Dialect, legendary, plain

_PLAIN_STEM = (
    conv_bn("conv1_1", "conv1.0", "conv1.1"),
    conv_bn("conv1_2", "conv1.3", "conv1.4"),
    conv_bn("conv1_3", "conv1.6", "bn1"),
)
_STEM = (
    conv_bn("stem.0", "conv1.0", "conv1.1"),
    conv_bn("stem.1", "conv1.3", "conv1.4"),
    conv_bn("stem.2", "conv1.6", "bn1"),
)


def _shortcut(block: str) -> Row:
    return conv_bn(f"{block}.short", "layer{S}.{i}.downsample.1", "layer{S}.{i}.downsample.2", optional=True)


def _block(block: str, num_convs: int) -> tuple[Row, ...]:
    convs = (
        conv_bn(f"{block}.conv{k}", f"layer{{S}}.{{i}}.conv{k + 1}", f"layer{{S}}.{{i}}.bn{k + 1}")
        for k in range(num_convs)
    )
    return (*convs, _shortcut(block))


def _resnet_vd(network: str, architecture: str, depths: Sequence[int], num_convs: int) -> Conversion:
    blocks = numbered(depths)
    dialects: dict[str, Dialect] = {
        "plain": plain(_PLAIN_STEM, each(blocks, *_block("bb_{s}_{i}", num_convs)), linear("out", "fc")),
        "legendary": legendary(_STEM, each(blocks, *_block("blocks.{n}", num_convs)), linear("fc", "fc")),
    }
    return Conversion(network=network, architecture=architecture, dialects=dialects)


def _letters(depths: Sequence[int]) -> list[dict[str, object]]:
    """Blocks with the letters that Res2Net's split convolutions carry: 2a 2b … and, in a long stage 4, 4a 4b1 4b2 …."""
    blocks: list[dict[str, object]] = []
    for block in numbered(depths):
        stage, i = block["s"], block["i"]
        numbered_letters = stage == 2 and depths[2] > 6
        letter = chr(97 + i) if not numbered_letters else "a" if i == 0 else f"b{i}"
        blocks.append({**block, "letter": f"{stage + 2}{letter}"})
    return blocks


def _res2net_vd(network: str, architecture: str, depths: Sequence[int]) -> Conversion:
    splits = (
        conv_bn(
            f"bb_{{s}}_{{i}}.res{{letter}}_branch2b_{k}",
            f"layer{{S}}.{{i}}.convs.{k - 1}",
            f"layer{{S}}.{{i}}.bns.{k - 1}",
        )
        for k in (1, 2, 3)
    )
    rows = each(
        _letters(depths),
        conv_bn("bb_{s}_{i}.conv0", "layer{S}.{i}.conv1", "layer{S}.{i}.bn1"),
        *splits,
        conv_bn("bb_{s}_{i}.conv2", "layer{S}.{i}.conv3", "layer{S}.{i}.bn3"),
        _shortcut("bb_{s}_{i}"),
    )
    dialects = {"plain": plain(_PLAIN_STEM, rows, linear("out", "fc"))}
    return Conversion(network=network, architecture=architecture, dialects=dialects)


RESNETS = (
    _resnet_vd("ResNet34_vd", "resnet34d_paddle", (3, 4, 6, 3), 2),
    _resnet_vd("ResNet50_vd", "resnet50d", (3, 4, 6, 3), 3),
    _resnet_vd("ResNet101_vd", "resnet101d", (3, 4, 23, 3), 3),
    _res2net_vd("Res2Net50_vd_26w_4s", "res2net50d_paddle", (3, 4, 6, 3)),
    _res2net_vd("Res2Net101_vd_26w_4s", "res2net101d_paddle", (3, 4, 23, 3)),
)
