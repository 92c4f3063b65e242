"""Weights under torchvision's names, or under names that a map of the user's translates, compute what they did."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model
from kdzoo.zoo.building import create_model
from kdzoo.zoo.conversion.renaming import _torchvision, in_order, read_map, torchvision_network
from kdzoo.zoo.pulling import convert_weights

NETWORKS = _torchvision()["networks"]
MEASURED = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "mnasnet0_5", "resnet18")
MEASURED_AT_LENGTH = (
    "convnext_tiny",
    "mobilenet_v3_large",
    "efficientnet_v2_s",
    "inception_v3",
    "swin_t",
    "vit_b_32",
    "regnet_x_400mf",
)


def trained(name: str, classes: int = 1000) -> nn.Module:
    """One of torchvision's networks, none of whose tensors is at its initial value, in evaluation mode."""
    arguments = {"init_weights": False} if name == "inception_v3" else {}
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=classes, **arguments).eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.ndim == 1 and tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.1)
    return model


def same(theirs: nn.Module, ours: nn.Module, size: int) -> None:
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), ours.eval()(images)
    scale = float(expected.abs().max())
    assert scale > 1e-4, "a network whose logits vanish compares nothing"
    assert float((expected - found).abs().max()) <= 1e-4 * scale


@pytest.mark.parametrize(
    "name", [*MEASURED, *(pytest.param(name, marks=pytest.mark.slow) for name in MEASURED_AT_LENGTH)]
)
def test_the_logits_are_torchvisions(name, tmp_path):
    model = trained(name)
    torch.save(model.state_dict(), tmp_path / "best.pth")
    fixed = name.startswith(("vit", "swin"))
    same(model, create_model(f"torchvision/{name}={tmp_path / 'best.pth'}"), 224 if fixed else 96)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_place_for_every_tensor(name):
    """Shapes alone, without values."""
    arguments = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    twin = torchvision_network(name)
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # torchvision's regnets copy values
        theirs = torchvision.models.get_model(name, weights=None, **arguments).state_dict()
    with torch.device("meta"):
        ours = timm.create_model(twin.timm, pretrained=False, num_classes=1000, **twin.arguments)
    found = theirs if twin.renaming is None else twin.renaming(ours, theirs)
    if name.startswith(("densenet", "vgg", "regnet")):  # timm's own conversion does the rest
        assert len(found) >= len(ours.state_dict()) - 4
        return
    assert {key: tensor.shape for key, tensor in found.items()} == {
        key: tensor.shape for key, tensor in ours.state_dict().items()
    }


def test_other_classes_and_a_file_without_order(tmp_path):
    model = trained("mobilenet_v3_small", classes=7)
    save_file(model.state_dict(), tmp_path / "best.safetensors")  # sorted by kdzoo, as the format keeps no order
    loaded = load_model(f"torchvision/mobilenet_v3_small={tmp_path / 'best.safetensors'}")
    assert loaded.num_classes == 7
    assert loaded.model_args == {"bn_eps": 0.001}
    same(model, loaded.model, 64)


def test_the_folder_is_timms(tmp_path):
    model = trained("mobilenet_v3_small", classes=5)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "best.pth")
    done = convert_weights(tmp_path / "best.pth", "torchvision/mobilenet_v3_small", tmp_path / "mine")
    assert done.outcome == "converted"
    assert any("244 tensors filled; the file holds 244" in note for note in done.notes)
    same(model, timm.create_model(f"local-dir:{tmp_path / 'mine'}", pretrained=True), 64)
    same(model, create_model(str(tmp_path / "mine")), 64)


def test_a_users_map(tmp_path):
    """MMPretrain's names of a ResNet."""
    model = trained("resnet18", classes=4)
    named = {f"backbone.{k}".replace("backbone.fc.", "head.fc."): v for k, v in model.state_dict().items()}
    torch.save({"state_dict": {**named, "neck.weight": torch.ones(3)}}, tmp_path / "epoch_100.pth")
    (tmp_path / "mmpretrain.toml").write_text("'^backbone\\.' = ''\n'^head\\.fc\\.' = 'fc.'\n'^neck\\..*' = ''\n")
    convert_weights(tmp_path / "epoch_100.pth", "resnet18", tmp_path / "mine", key_map=tmp_path / "mmpretrain.toml")
    same(model, create_model(str(tmp_path / "mine")), 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("'^backbone(' = ''", "no pattern"),
        ("[rules]\n'a' = 'b'", "no pattern"),
        ("'a' = 3", "no pattern"),
        (r"'a' = '\1'", "no pattern"),
        ("not toml", "cannot be read"),
    ],
)
def test_maps_that_are_none(text, says, tmp_path):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(ModelError, match=says):
        read_map(tmp_path / "map.toml")


def test_what_does_not_fit_is_refused(tmp_path):
    torch.save(trained("mobilenet_v2").state_dict(), tmp_path / "best.pth")
    with pytest.raises(ModelError, match="does not fit mobilenetv3_small_100"):
        load_model(f"torchvision/mobilenet_v3_small={tmp_path / 'best.pth'}")
    with pytest.raises(ModelError) as caught:
        load_model(f"torchvision/mobilenetv2={tmp_path / 'best.pth'}")
    assert "mobilenet_v2" in str(caught.value.hint)
    with pytest.raises(ModelError, match="names no weights"):
        load_model("torchvision/mobilenet_v2")
    (tmp_path / "map.toml").write_text(r"""'^features\..*' = 'conv_stem.weight'""")
    with pytest.raises(ModelError, match="leads both"):
        convert_weights(tmp_path / "best.pth", "mobilenetv2_100", tmp_path / "mine", key_map=tmp_path / "map.toml")
    assert not (tmp_path / "mine").exists()


def test_layers_in_another_number_stay_as_they_are():
    model = timm.create_model("mobilenetv2_100", pretrained=False)
    tensors = {"features.0.0.weight": torch.zeros(32, 3, 3, 3)}
    assert in_order(model, tensors) == tensors
