import importlib.util
import json
import os
import stat

import pytest
import torch
from safetensors import safe_open

from kdzoo import export_model
from kdzoo.base.errors import ModelError, RunError, UsageError
from kdzoo.zoo import exporting, load_model
from kdzoo.zoo.exporting import TOLERANCE, fuse_blocks, random_images


@pytest.fixture
def model(make_run, tmp_path):
    return str(make_run(tmp_path / "run"))


def logits_of(reference, images):
    network = load_model(reference).model.eval()
    with torch.no_grad():
        return network(images)


def test_onnx_takes_any_number_of_images_and_gives_the_models_logits(model, tmp_path):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    made = export_model(model, "onnx", tmp_path / "m.onnx")
    assert made.bytes == (tmp_path / "m.onnx").stat().st_size > 300_000
    assert made.max_difference <= TOLERANCE
    assert made.batch == "any"
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for count in (1, 2, 5):
        images = torch.rand(count, 3, 32, 32)
        (logits,) = session.run(None, {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), logits_of(model, images), atol=1e-4, rtol=0)
    record = {one.key: one.value for one in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert record["kdzoo.image_size"] == "32"
    assert json.loads(record["kdzoo.class_names"]) == ["null", "eins", "zwei"]
    assert record["kdzoo.reference"] == "run"
    assert stat.S_IMODE(os.stat(tmp_path / "m.onnx").st_mode) & 0o444 == 0o444


def test_torch_export_is_loaded_without_timm(model, tmp_path, torch_server):
    made = export_model(model, "torch-export", tmp_path / "m.pt2")
    assert made.max_difference <= TOLERANCE
    images = torch.rand(4, 3, 32, 32)
    torch.save((images, logits_of(model, images)), tmp_path / "expected.pt")
    script = (
        "import sys, torch\n"
        "network = torch.export.load(sys.argv[1]).module()\n"
        "images, expected = torch.load(sys.argv[2], weights_only=True)\n"
        "torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=0)\n"
        "assert not {'timm', 'kdzoo'} & sys.modules.keys()\n"
    )
    (tmp_path / "script.py").write_text(script)
    torch_server.run(tmp_path / "script.py", tmp_path / "m.pt2", tmp_path / "expected.pt")


def test_safetensors_holds_the_weights_and_what_they_need(model, tmp_path):
    made = export_model(model, "safetensors", tmp_path / "m.safetensors")
    assert (made.max_difference, made.batch) == (0.0, "none")
    state = load_model(model).model.state_dict()
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert set(file.keys()) == set(state)
        assert all(torch.equal(file.get_tensor(name), state[name]) for name in state)
        assert file.metadata()["architecture"] == "cifar_resnet8"
    again = load_model(f"cifar_resnet8={tmp_path / 'm.safetensors'}")
    assert again.num_classes == 3


def test_a_file_that_computes_something_else_is_not_kept(model, tmp_path, monkeypatch):
    """The check is real: with a tolerance that nothing meets it refuses, and an earlier file stays."""
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_text("earlier")
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="is not the model"):
        export_model(model, "onnx", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "m.onnx"}


def test_what_cannot_be_done_is_said(model, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"does not end in \.onnx") as caught:
        export_model(model, "onnx", tmp_path / "m.pt")
    assert str(tmp_path / "m.onnx") in caught.value.hint
    with pytest.raises(UsageError, match="no format"):
        export_model(model, "coreml", tmp_path / "m.onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not be written"):
        export_model(model, "safetensors", tmp_path / "file" / "m.safetensors")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs onnx, onnxscript, onnxruntime") as missing:
        export_model(model, "onnx", tmp_path / "m.onnx")
    assert missing.value.hint == "pip install 'kdzoo[onnx]'"


@pytest.mark.parametrize(
    ("architecture", "fused"),
    [
        ("mobileone_s0", "191 convolutions and 226 BatchNorms became 43 and 0"),
        *(
            pytest.param(name, fused, marks=pytest.mark.slow)
            for name, fused in [
                ("repvgg_a0", "44 convolutions and 61 BatchNorms became 22 and 0"),
                ("repvit_m0_9", "126 convolutions and 108 BatchNorms became 103 and 0"),
                ("fastvit_t8", "68 convolutions and 70 BatchNorms became 52 and 10"),
                ("repghostnet_050", "95 convolutions and 112 BatchNorms became 95 and 48"),
                ("tiny_vit_5m_224", "27 convolutions and 27 BatchNorms became 27 and 0"),
                ("efficientvit_m0", "116 convolutions and 113 BatchNorms became 116 and 0"),
            ]
        ),
        ("cifar_resnet8", ""),
    ],
)
def test_fused_blocks_compute_what_the_trained_ones_do(architecture, fused):
    size = None if architecture in ("tiny_vit_5m_224", "efficientvit_m0") else 64
    loaded = load_model(architecture, num_classes=3, image_size=size)
    images = random_images(loaded, 4)
    network = loaded.model.train()
    with torch.no_grad():
        network(images)  # BatchNorms have statistics of their own
        ours = network.eval()(images)
        copy, words = fuse_blocks(network)
        assert words == fused
        assert (copy is network) == (not fused)
        torch.testing.assert_close(copy(images), ours, atol=TOLERANCE * max(1.0, float(ours.abs().max())), rtol=0)
        assert torch.equal(network(images), ours)  # the model itself is left as it was
