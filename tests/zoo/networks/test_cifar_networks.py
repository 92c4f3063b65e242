import pytest
import timm
import torch

import kdzoo.zoo  # noqa: F401 (registers the networks)

# With 100 classes: the counts of the distillation literature's implementations; ResNet-18 with 10.
PARAMETERS = {
    ("cifar_resnet8x4", 100): 1_233_540,
    ("cifar_resnet32x4", 100): 7_433_860,
    ("cifar_resnet20", 100): 278_324,
    ("cifar_resnet56", 100): 861_620,
    ("cifar_resnet110", 100): 1_736_564,
    ("cifar_wrn_16_2", 100): 703_284,
    ("cifar_wrn_40_2", 100): 2_255_156,
    ("cifar_wrn_40_1", 100): 569_780,
    ("cifar_resnet18", 10): 11_173_962,
}
# He et al., Table 6: millions of parameters, with shortcuts that pad.
PUBLISHED_M = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}
SMALL = ["cifar_resnet8", "cifar_resnet8x4", "cifar_resnet18", "cifar_wrn_16_1"]


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "num_classes"), PARAMETERS)
def test_parameters_are_the_published_ones(name, num_classes):
    with torch.device("meta"):
        assert count(timm.create_model(name, num_classes=num_classes)) == PARAMETERS[name, num_classes]


@pytest.mark.parametrize(("depth", "millions"), PUBLISHED_M.items())
def test_padding_shortcuts_give_the_papers_counts(depth, millions):
    with torch.device("meta"):
        model = timm.create_model(f"cifar_resnet{depth}", shortcut="padding")
    digits = 1 if depth == 110 else 2
    assert round(count(model) / 1e6, digits) == pytest.approx(millions)


def test_depth_is_the_number_of_layers_in_the_name():
    model = timm.create_model("cifar_resnet20", shortcut="padding")
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 20


def test_a_padding_shortcut_keeps_the_old_channels_in_the_middle():
    block = timm.create_model("cifar_resnet8", shortcut="padding").layer2[0]
    x = torch.randn(1, 16, 8, 8)
    out = block.downsample(x)
    assert out.shape == (1, 32, 4, 4)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


@pytest.mark.parametrize("name", SMALL)
def test_timms_interface(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        maps = model.forward_features(images)
        assert maps.shape[1] == model.num_features
        assert model.forward_head(maps, pre_logits=True).shape == (2, model.num_features)
        assert torch.equal(model.forward_head(maps), model(images))
    assert model.pretrained_cfg["input_size"] == (3, 32, 32)
    assert model.get_submodule(model.pretrained_cfg["classifier"]) is model.get_classifier()
    assert model.get_submodule(model.pretrained_cfg["first_conv"]).in_channels == 3
    assert maps.shape[-2:] == model.pretrained_cfg["pool_size"]
    model.reset_classifier(3)
    assert model(images).shape == (2, 3)
    model.reset_classifier(0)
    assert model(images).shape == (2, model.num_features)


@pytest.mark.parametrize("name", SMALL)
def test_features_only_gives_a_map_a_stage(name):
    backbone = timm.create_model(name, features_only=True)
    images = torch.randn(1, 3, 32, 32)
    maps = backbone(images)
    assert [m.shape[1] for m in maps] == backbone.feature_info.channels()
    assert [32 // m.shape[-1] for m in maps] == backbone.feature_info.reduction()


@pytest.mark.parametrize("name", ["cifar_resnet8", "cifar_wrn_16_1"])
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    model = timm.create_model(name)
    model(torch.randn(4, 3, 32, 32)).logsumexp(dim=1).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_dropout_between_features_and_classifier():
    model = timm.create_model("cifar_resnet8", drop_rate=0.5).train()
    maps = torch.ones(1, 64, 8, 8)
    zeros = (model.forward_head(maps, pre_logits=True) == 0).float().mean()
    assert 0.2 < zeros < 0.8
    assert torch.equal(model.eval().forward_head(maps, pre_logits=True), torch.ones(1, 64))
