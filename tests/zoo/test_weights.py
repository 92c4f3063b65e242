import os
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model, load_weights, read_weights


@pytest.fixture
def model():
    return timm.create_model("cifar_resnet8")


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_wrappers_are_taken_off(tmp_path, model, prefix, suffix):
    path = tmp_path / f"weights.{suffix}"
    tensors = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    read = read_weights(path)
    assert read.keys() == model.state_dict().keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


def test_compiled_parts_inside_a_network_lose_their_prefix_too(tmp_path, model):
    tensors = {name.replace("layer1.", "layer1._orig_mod."): value for name, value in model.state_dict().items()}
    torch.save(tensors, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == model.state_dict().keys()


def test_weights_are_taken_out_of_a_training_checkpoint(tmp_path, model):
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": model.state_dict()}, tmp_path / "w.pth.tar")
    assert read_weights(tmp_path / "w.pth.tar").keys() == model.state_dict().keys()


def test_old_files_without_batch_counters_load(model):
    tensors = {k: v + 1 for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    load_weights(model, tensors, "old.pth")
    assert torch.equal(model.state_dict()["fc.bias"], tensors["fc.bias"])


def test_another_architecture_is_one_line_that_names_the_keys(model):
    other = timm.create_model("cifar_resnet14").state_dict()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=r"w\.pth does not fit cifar_resnet8") as caught:
        load_weights(model, other, "w.pth")
    assert "unexpected (layer1.1.conv1.weight" in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(ModelError, match=r"missing .*conv1\.weight"):
        load_weights(timm.create_model("cifar_resnet14"), model.state_dict(), "w.pth")
    with pytest.raises(ModelError, match=r"of another shape \(fc\.weight \(7, 64\) for \(10, 64\)"):
        load_weights(model, timm.create_model("cifar_resnet8", num_classes=7).state_dict(), "w.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_with_code_is_refused_and_not_run(tmp_path, model):
    torch.save({"state_dict": model.state_dict(), "x": Touch(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"more than weights.*mkdir"):
        read_weights(tmp_path / "w.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    with pytest.raises(ModelError):
        read_weights(tmp_path / "raw.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_one_line(tmp_path, model, suffix):
    path = tmp_path / f"w.{suffix}"
    state = model.state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"garbage" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="damaged"):
            read_weights(path)
    with pytest.raises(ModelError, match="no file"):
        read_weights(tmp_path / f"nothing.{suffix}")


def test_files_without_weights_are_refused(tmp_path):
    for content in ({"epoch": 1}, [1, 2], torch.zeros(3)):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(ModelError, match="weights"):
            read_weights(tmp_path / "w.pth")


def test_a_reference_to_plain_weights_finds_the_number_of_classes(tmp_path):
    source = timm.create_model("cifar_resnet8", num_classes=7)
    torch.save({f"module.{k}": v for k, v in source.state_dict().items()}, tmp_path / "w.pth")
    loaded = load_model(f"cifar_resnet8={tmp_path / 'w.pth'}")
    assert (loaded.num_classes, loaded.pretrained, loaded.class_names) == (7, True, ())
    assert torch.equal(loaded.model.fc.weight, source.fc.weight)
    assert "preprocessing" in loaded.notes[0]
    with pytest.raises(ModelError, match="does not fit cifar_resnet14"):
        load_model(f"cifar_resnet14={tmp_path / 'w.pth'}")
