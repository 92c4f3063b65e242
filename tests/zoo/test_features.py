import pytest
import timm
import torch
from torch import nn

from kdzoo.zoo import forward_with_features, seeded

PLAIN = [
    "resnet18",
    "mobilenetv3_small_050",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "cifar_resnet8",
    "cifar_wrn_16_1",
    "cifar_resnet18",
]
# Heads in which the logits are not one linear layer of the features.
PECULIAR = {
    "efficientvit_m0": 224,  # a BatchNorm in the classifier
    "deit_tiny_distilled_patch16_224": 224,  # two heads, averaged
    "resnetv2_18": 64,  # the classifier is a convolution
    "dla46_c": 64,  # the same
    "repvit_m1": 64,  # two heads, each with a BatchNorm
    "mobilenetv4_conv_small_050": 64,  # a BatchNorm before the features
}


def build(name: str, **arguments) -> nn.Module:
    with seeded(3):
        return timm.create_model(name, **arguments)


@pytest.mark.parametrize("name", [*PLAIN, *PECULIAR])
def test_logits_are_the_models_own(name):
    model = build(name).eval()
    size = PECULIAR.get(name, 224 if name.startswith("vit") else 32 if name.startswith("cifar") else 64)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, features = forward_with_features(model, images)
        assert torch.equal(logits, model(images))
    assert logits.shape == (2, model.num_classes)
    assert features.ndim == 2
    assert features.std() > 0
    classifier = model.get_classifier()
    if isinstance(classifier, nn.Linear) and name in PLAIN:
        assert features.shape[1] == classifier.in_features
        assert torch.equal(classifier(features), logits)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv4_conv_small_050", "repvit_m1", "efficientvit_m0"])
def test_the_backbone_and_its_statistics_move_once(name):
    ours, plain = build(name).train(), build(name).train()
    images = torch.randn(4, 3, PECULIAR.get(name, 64), PECULIAR.get(name, 64))
    with seeded(0):
        forward_with_features(ours, images)[0].sum().backward()
    with seeded(0):
        expected = plain(images)
        (expected[0] + expected[1] if isinstance(expected, tuple) else expected).sum().backward()
    for (key, one), two in zip(ours.state_dict().items(), plain.state_dict().values()):
        assert torch.equal(one, two), key


def test_gradients_reach_the_backbone_through_both_outputs():
    model = build("cifar_resnet8").train()
    logits, features = forward_with_features(model, torch.randn(4, 3, 32, 32))
    one = torch.autograd.grad(logits.square().sum(), model.conv1.weight, retain_graph=True)[0]
    two = torch.autograd.grad(features.square().sum(), model.conv1.weight)[0]
    assert one.abs().sum() > 0
    assert two.abs().sum() > 0


@pytest.mark.slow
def test_the_same_under_compile():
    model = build("cifar_resnet8").train()
    plain = build("cifar_resnet8").train()
    images = torch.randn(4, 3, 32, 32)
    compiled = torch.compile(lambda x: forward_with_features(model, x), fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(compiled(images), forward_with_features(plain, images)):
        torch.testing.assert_close(ours, theirs)
