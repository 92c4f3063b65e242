"""A network for grey images answers as the one it was made of, and is saved and read as any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from kdzoo.base.errors import ModelError
from kdzoo.engine.teachers import normalise
from kdzoo.zoo import load_model, save_model
from kdzoo.zoo.grey import as_grey


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv3_small_050", "cifar_resnet8"])
def test_weights_summed_over_the_channels_answer_as_before(name: str) -> None:
    images = torch.rand(2, 1, 64, 64)
    loaded = replace(load_model(name, pretrained=False, num_classes=5, seed=1), pretrained=True)
    loaded.model.eval()
    look = replace(loaded.preprocessing, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    with torch.no_grad():
        wanted = loaded.model(normalise(images.expand(-1, 3, -1, -1), look.mean, look.std))
        grey = as_grey(replace(loaded, preprocessing=look))
        found = grey.model(normalise(images.expand(-1, 3, -1, -1), grey.preprocessing.mean, grey.preprocessing.std))
    assert grey.preprocessing.input_size[0] == 1
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_random_weights_are_not_summed() -> None:
    loaded = load_model("resnet18", pretrained=False, num_classes=5, seed=1)
    first = loaded.model.conv1.weight[:, :1].clone()
    assert torch.equal(as_grey(loaded).model.conv1.weight, first)


def test_timm_and_kdzoo_read_what_was_saved(tmp_path: Path) -> None:
    grey = as_grey(load_model("resnet18", pretrained=False, num_classes=5, seed=1))
    folder = save_model(grey, tmp_path / "model", provenance={})
    again = load_model(str(folder))
    assert again.preprocessing.mean == grey.preprocessing.mean
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True)
    for network in (again.model, theirs):
        assert torch.equal(network.conv1.weight, grey.model.conv1.weight)
    assert as_grey(again) is again


def test_a_network_that_cannot_take_one_channel_is_one_line() -> None:
    loaded = load_model("resnet18", pretrained=False, num_classes=5, seed=1)
    loaded.model.pretrained_cfg = {**loaded.model.pretrained_cfg, "first_conv": "fc"}
    with pytest.raises(ModelError, match="no first convolution of three channels"):
        as_grey(loaded)
