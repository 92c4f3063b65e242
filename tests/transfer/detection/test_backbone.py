"""A classifier as a backbone: its own weights, the right maps, what is left out, what learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdzoo.base.errors import ModelError
from kdzoo.transfer.backbone import build_backbone
from kdzoo.transfer.dense import IterationSchedule, parameter_groups
from kdzoo.zoo import load_model

IMAGES = torch.linspace(-2, 2, 3 * 64 * 96).reshape(1, 3, 64, 96)


@pytest.mark.parametrize("name", ["resnet18d", "mobilenetv3_small_050", "hrnet_w18_small", "convnext_atto"])
def test_the_maps_are_the_networks_own(name: str) -> None:
    reference = load_model(name, seed=3).model.eval()
    backbone = build_backbone(load_model(name, seed=3), batchnorm="train").eval()
    with torch.no_grad():
        expected = reference.forward_intermediates(IMAGES, intermediates_only=True)[-4:]
        maps = backbone(IMAGES)
    for level, feature, own in zip(backbone.levels, maps, expected, strict=True):
        assert feature.shape[1:] == (level.channels, 64 // level.stride, 96 // level.stride)
        torch.testing.assert_close(feature, own)
    assert [level.stride for level in backbone.levels] == [4, 8, 16, 32]
    assert any("classifier" in key or "fc" in key for key in backbone.unused)
    kept = {key.removeprefix("network.") for key in backbone.state_dict()}
    assert kept.isdisjoint(backbone.unused)
    assert kept | set(backbone.unused) == set(reference.state_dict())


def test_one_changed_tensor_is_seen_and_frozen_norms_keep_the_function() -> None:
    loaded, changed = (load_model("resnet18", seed=3) for _ in range(2))
    for one in (loaded, changed):
        for module in one.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        changed.model.get_parameter("layer3.0.downsample.0.weight")[0] += 1
        expected = loaded.model.eval().forward_intermediates(IMAGES, intermediates_only=True)[-4:]
        plain, other = (build_backbone(one, batchnorm="frozen").train()(IMAGES) for one in (loaded, changed))
    for own, feature in zip(expected, plain, strict=True):
        torch.testing.assert_close(feature, own)
    same = [bool(torch.equal(a, b)) for a, b in zip(plain, other, strict=True)]
    assert same == [True, True, False, False]


@pytest.mark.parametrize(
    ("name", "frozen", "first"),
    [
        ("resnet18", 0, "conv1"),
        ("resnet18", 1, "layer1"),
        ("resnet18", 2, "layer2"),
        ("resnet18", 5, None),
        ("hrnet_w18_small", 2, "transition1"),
    ],
)
def test_the_first_stages_do_not_learn(name: str, frozen: int, first: str | None) -> None:
    backbone = build_backbone(load_model(name), batchnorm="train", frozen_stages=frozen)
    learning = [key for key, parameter in backbone.network.named_parameters() if parameter.requires_grad]
    if first is None:
        assert learning == []
    else:
        assert learning[0].startswith(first)
    before = {key: value.clone() for key, value in backbone.network.state_dict().items()}
    backbone.train()
    maps = backbone(torch.cat([IMAGES, IMAGES.flip(3)]))
    moved = {key for key, value in backbone.network.state_dict().items() if not torch.equal(value, before[key])}
    stages = {0: "conv1", 1: "layer1"}
    assert all(not key.startswith(stages[stage]) for key in moved for stage in range(min(frozen, 2)))
    assert bool(moved) == (frozen < 5)
    assert maps[0].requires_grad == (frozen < 2 or name != "resnet18")


def test_dilation_keeps_the_weights_and_the_finer_maps() -> None:
    for name in ("resnet18", "mobilenetv3_small_050"):
        plain = build_backbone(load_model(name, seed=3), batchnorm="train").eval()
        dilated = build_backbone(load_model(name, seed=3), batchnorm="train", output_stride=8).eval()
        assert [level.stride for level in dilated.levels] == [4, 8, 8, 8]
        with torch.no_grad():
            one, other = plain(IMAGES), dilated(IMAGES)
        for level, feature in zip(dilated.levels, other, strict=True):
            assert feature.shape[2:] == (64 // level.stride, 96 // level.stride)
        for stage in (0, 1):
            torch.testing.assert_close(one[stage], other[stage])
        middle = other[2][:, :, ::2, ::2]  # where the strided network looks, the dilated one sees the same
        assert torch.corrcoef(torch.stack([one[2].flatten(), middle.flatten()]))[0, 1] > 0.5
    with pytest.raises(ModelError, match="cannot be dilated"):
        build_backbone(load_model("hrnet_w18_small"), output_stride=8)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar_resnet8", "no feature maps at stride 8, 16, 32"),
        ("vit_tiny_patch16_224", "no feature maps at stride 4"),
        ("swin_tiny_patch4_window7_224", "cannot take images of"),
    ],
)
def test_what_is_no_backbone_is_said(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        build_backbone(load_model(name))
    assert raised.value.hint


def test_each_stage_gets_its_rate_and_norms_no_decay() -> None:
    backbone = build_backbone(load_model("resnet18"), batchnorm="train", frozen_stages=1)
    model = nn.Sequential(backbone, nn.Conv2d(512, 4, 1))
    stage_of = {f"0.network.{key}": stage for key, stage in backbone.stage_of.items()}
    multipliers = (0.05, 0.1, 0.2, 0.3, 0.4)
    groups = parameter_groups(
        model, stage_of=stage_of, multipliers=multipliers, weight_decay=1e-4, weight_decay_norm=0.0
    )
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    seen = {}
    for group in groups:
        for parameter in group["params"]:
            key = names[id(parameter)]
            assert key not in seen
            seen[key] = group
            is_norm = isinstance(model.get_submodule(key.rpartition(".")[0]), nn.BatchNorm2d)
            assert group["weight_decay"] == (0.0 if is_norm else 1e-4)
    assert set(seen) == {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert seen["1.weight"]["lr_scale"] == 1.0
    assert [seen[f"0.network.layer{n}.0.conv1.weight"]["lr_scale"] for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, 0.4]
    assert len(parameter_groups(model, stage_of=stage_of, weight_decay=1e-4)) == 2


def test_schedules_are_functions_of_the_iteration() -> None:
    steps = IterationSchedule(iterations=90, milestones=(60, 80), warmup_iterations=10, warmup_factor=0.001)
    assert [round(steps.factor(i), 6) for i in (0, 5, 10, 59, 60, 80, 89)] == [0.001, 0.5005, 1, 1, 0.1, 0.01, 0.01]
    poly = IterationSchedule(iterations=100, name="poly", final=0.01)
    assert poly.factor(0) == 1
    assert poly.factor(50) == pytest.approx(0.01 + 0.99 * 0.5**0.9)
    assert poly.factor(100) == 0.01
