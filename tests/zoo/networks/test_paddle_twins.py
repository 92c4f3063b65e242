"""The twins behave as any timm model: they build, train, hand out features and change their head."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import kdzoo.zoo.networks.paddle_twins as paddle_twins

# name -> (trainable parameters of PaddleClas' network, width of the pooled features before the classifier)
TWINS = {
    "resnet34d_paddle": (21_821_128, 512),
    "resnet200d_paddle": (74_738_504, 2048),
    "res2net50d_paddle": (25_718_352, 2048),
    "res2net101d_paddle": (45_225_920, 2048),
    "mobilenetv2_100_paddle": (3_505_960, 1280),
    "mobilenetv3_large_100_paddle": (5_480_206, 1280),
    "mobilenetv3_small_100_paddle": (2_939_958, 1280),
    "mobilenetv3_small_035_paddle": (1_665_954, 1280),
    "lcnet_025_paddle": (1_521_184, 1280),
    "lcnet_250_paddle": (9_017_560, 1280),
    "ghostnet_130_paddle": (7_352_622, 1280),
}
DEEPER = ("resnet200d_paddle", "res2net101d_paddle")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in DEEPER else name for name in TWINS]


def test_the_table_is_complete() -> None:
    assert set(TWINS) == set(paddle_twins.default_cfgs)


@pytest.mark.parametrize("name", NAMES)
def test_builds_with_the_right_size_and_head(name: str) -> None:
    parameters, width = TWINS[name]
    model = timm.create_model(name, pretrained=False).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model.pretrained_cfg["input_size"] == (3, 224, 224)
    images = torch.zeros(1, 3, 64, 64)
    features = model.forward_features(images)
    assert model.forward_head(features, pre_logits=True).shape == (1, width)
    model.reset_classifier(5)
    assert model(images).shape == (1, 5)
    assert isinstance(model.get_classifier(), nn.Linear)


@pytest.mark.parametrize("name", NAMES)
def test_hands_out_a_feature_pyramid(name: str) -> None:
    backbone = timm.create_model(name, pretrained=False, features_only=True)
    maps = backbone(torch.zeros(2, 3, 64, 64))
    assert [feature.shape[1] for feature in maps] == backbone.feature_info.channels()
    assert [64 // feature.shape[2] for feature in maps] == backbone.feature_info.reduction() == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("name", ["resnet34d_paddle", "res2net50d_paddle", "ghostnet_130_paddle", "lcnet_025_paddle"])
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=10).train()
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    idle = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []


def test_gates_are_paddles() -> None:
    x = torch.tensor([-9.0, -2.0, 0.0, 1.0, 9.0])
    torch.testing.assert_close(paddle_twins.SlopeFifthHardSigmoid()(x), torch.tensor([0.0, 0.1, 0.5, 0.7, 1.0]))
    torch.testing.assert_close(paddle_twins.UnitClip()(x), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]))
