"""PyramidNet: parameter counts, channel growth, one block by hand."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F

import kdzoo.zoo.networks  # noqa: F401
from kdzoo.zoo.networks.pyramidnet import PyramidNet


# CutMix, arXiv 1905.04899, Table 5: 26.8 M; feature-transfer papers with the same network print 26.84 M. PyramidNet's
# own Table 4 says 26.6 M and 26.0 M: that is with widths rounded down (26,617,000 and 26,049,562 with 10 classes).
@pytest.mark.parametrize(
    ("name", "num_classes", "count"),
    [
        ("cifar_pyramidnet200_a240", 100, 26_844_952),
        ("cifar_pyramidnet200_a240", 10, 26_752_702),
        ("cifar_pyramidnet272_a200", 100, 26_288_692),
        ("cifar_pyramidnet272_a200", 10, 26_210_842),
    ],
)
def test_parameter_counts(name: str, num_classes: int, count: int) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=num_classes)
    assert sum(p.numel() for p in network.parameters()) == count


def test_channels_end_where_depth_and_alpha_say() -> None:
    with torch.device("meta"):
        wide, deep = (timm.create_model(f"cifar_pyramidnet{n}") for n in ("200_a240", "272_a200"))
    assert (wide.num_features, deep.num_features) == (4 * (16 + 240), 4 * (16 + 200))
    assert (wide.num_classes, deep.num_classes) == (100, 10)
    assert [len(wide.layer1), len(deep.layer1)] == [22, 30]


def test_a_halving_block_pools_and_pads_its_shortcut() -> None:
    torch.manual_seed(0)
    block = PyramidNet(11, 12).eval().layer2[0]
    x = torch.randn(2, block.bn1.num_features, 8, 8)
    out = block.conv1(block.bn1(x))
    out = block.bn4(block.conv3(F.relu(block.bn3(block.conv2(F.relu(block.bn2(out)))))))
    expected = out.clone()
    expected[:, : x.shape[1]] += F.avg_pool2d(x, 2)
    torch.testing.assert_close(block(x), expected)
    assert out.shape[1] > x.shape[1]


def test_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="9n"):
        PyramidNet(200 + 1, 240)
