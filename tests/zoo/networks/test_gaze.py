"""The gaze networks: sizes, the head pose, a regression head with a scale, blocks by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F

import kdzoo.zoo.networks  # noqa: F401
from kdzoo.base.errors import ModelError
from kdzoo.zoo import forward_with_features, load_model, network_output, save_model
from kdzoo.zoo.networks.preact_resnet import PreActResNet


# Counts of the same networks in hysts/pytorch_mpiigaze, 2a31a6c; ResNet-110: 1.7 M in arXiv 1512.03385, Table 6.
@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("gaze_lenet", {"head_pose_dim": 2}, 1_827_076),
        ("gaze_lenet", {}, 1_827_072),
        ("gaze_lenet", {"num_classes": 3}, 1_827_573),
        ("gaze_preact_resnet8", {"head_pose_dim": 2}, 77_046),
        ("gaze_lenet_pose", {}, 1_827_076),
        ("gaze_preact_resnet8_pose", {}, 77_046),
        ("gaze_preact_resnet8", {"num_classes": 3}, 77_107),
        ("cifar_preact_resnet18", {"num_classes": 10}, 11_172_170),
        ("cifar_preact_resnet110", {}, 1_730_522),
    ],
)
def test_parameter_counts(name: str, arguments: dict[str, int], count: int) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, **arguments)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("name", ["gaze_lenet", "gaze_preact_resnet8"])
def test_the_head_pose_reaches_the_output_and_must_be_there_when_built_for(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, head_pose_dim=2).eval()
    eyes, pose = torch.rand(3, 1, 36, 60), torch.randn(3, 2)
    assert network(eyes, pose).shape == (3, 2)
    assert not torch.allclose(network(eyes, pose), network(eyes, -pose))
    with pytest.raises(ValueError, match="2 numbers of head pose"):
        network(eyes)
    with pytest.raises(ValueError, match="0 numbers of head pose"):
        timm.create_model(name)(eyes, pose)


def test_lenets_layers_in_order() -> None:
    torch.manual_seed(0)
    network = timm.create_model("gaze_lenet")
    eyes = torch.rand(2, 1, 36, 60)
    maps = F.max_pool2d(network.conv2(F.max_pool2d(network.conv1(eyes), 2)), 2)
    torch.testing.assert_close(network(eyes), network.fc(F.relu(network.fc1(maps.flatten(1)))))
    assert maps.shape == (2, 50, 6, 12)


@pytest.mark.parametrize("activated", [True, False])
def test_where_the_identity_shortcut_starts(activated: bool) -> None:
    torch.manual_seed(0)
    block = PreActResNet(1, (4, 4), activated_identity=activated, num_classes=2).eval().layer1[0]
    x = torch.randn(2, 4, 6, 6)
    active = F.relu(block.bn1(x))
    expected = block.conv2(F.relu(block.bn2(block.conv1(active)))) + (active if activated else x)
    torch.testing.assert_close(block(x), expected)
    assert timm.create_model("gaze_preact_resnet8").layer1[0].activated_identity
    assert not timm.create_model("cifar_preact_resnet18", widths=(4, 4)).layer1[0].activated_identity


@pytest.mark.parametrize("name", ["gaze_lenet_pose", "gaze_preact_resnet8_pose"])
def test_the_head_pose_goes_through_the_interface_of_runs(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name).eval()
    eyes, pose = torch.rand(3, 1, 36, 60), torch.randn(3, 2)
    outputs, features = forward_with_features(network, eyes, pose)
    torch.testing.assert_close(outputs, network(eyes, pose))
    torch.testing.assert_close(network_output(network, eyes, pose), network(eyes, pose))
    assert features.shape == (3, network.num_features)
    with pytest.raises(ModelError, match="takes the head's pose"):
        forward_with_features(network, eyes)
    plain = timm.create_model(name.removesuffix("_pose")).eval()
    torch.testing.assert_close(network_output(plain, eyes, pose), plain(eyes))


def test_a_saved_gaze_network_comes_back_with_its_size_and_channel(tmp_path: Path) -> None:
    loaded = load_model("gaze_lenet_pose", num_classes=3)
    assert loaded.preprocessing.input_size == (1, 36, 60)
    save_model(loaded, tmp_path / "model", provenance={"task": "regression"})
    again = load_model(f"local-dir:{tmp_path / 'model'}")
    assert again.preprocessing == loaded.preprocessing
    assert (again.num_classes, again.provenance["task"]) == (3, "regression")
    by_timm = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True)
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
        assert torch.equal(by_timm.state_dict()[name], tensor)
