"""Weights as people have them: saved in each form, loaded through a reference, and equal in every logit."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kdzoo.base.errors import KdzooError, ModelError, UsageError
from kdzoo.zoo import load_model

Tensors = dict[str, Tensor]
NAME = "cifar_resnet8"
HEAD = ("fc.weight", "fc.bias")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(7)
    made: nn.Module = timm.create_model(NAME, num_classes=5)
    return made.eval()


@pytest.fixture(scope="module")
def other() -> Tensors:
    torch.manual_seed(8)
    state: Tensors = timm.create_model(NAME, num_classes=5).state_dict()
    return state


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def body(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name not in HEAD}


def assert_same_logits(model: nn.Module, reference: str, **asked: Any) -> None:
    images = torch.rand(2, 3, 32, 32)
    loaded = load_model(reference, **asked)
    with torch.no_grad():
        assert torch.equal(loaded.model.eval()(images), model(images))


def averaged(state: Tensors, other: Tensors) -> Any:
    """As torchvision's references/classification/train.py saves it."""
    torch.manual_seed(7)
    network = timm.create_model(NAME, num_classes=5)
    average = AveragedModel(network)
    assert "n_averaged" in average.state_dict()
    return {"model": under("", other), "optimizer": {"state": {}}, "epoch": 3, "model_ema": average.state_dict()}


FORMS: dict[str, Callable[[Tensors, Tensors], Any]] = {
    "torchvision's average beside the raw weights": averaged,
    "an average under DataParallel": lambda s, o: {"model_ema": {"n_averaged": torch.tensor(9), **under("module.", s)}},
    "Lightning": lambda s, o: {"state_dict": under("model.", s), "epoch": 1, "global_step": 7},
    "Lightning with a loss and a metric": lambda s, o: {
        "state_dict": {**under("net.", s), "criterion.weight": torch.ones(5), "val_acc.tp": torch.zeros(5)}
    },
    "Lightning with an average": lambda s, o: {"state_dict": {**under("model.", o), **under("ema_model.", s)}},
    "a timm wrapper": lambda s, o: under("timm_model.", s),
    "a wrapper in a wrapper": lambda s, o: {"state_dict": under("module.model.timm_model.", s)},
    "MoCo": lambda s, o: {
        "state_dict": {
            **under("module.encoder_q.", s),
            **under("module.encoder_k.", o),
            "module.queue": torch.rand(4, 6),
            "module.queue_ptr": torch.zeros(1),
        }
    },
    "a momentum encoder": lambda s, o: {**under("base_encoder.", s), **under("momentum_encoder.", o)},
    "a student's backbone": lambda s, o: {"student": under("backbone.", s), "teacher": {"x.weight": torch.ones(2)}},
    "an encoder with its projector": lambda s, o: {**under("encoder.", s), "projector.0.weight": torch.ones(8, 8)},
    "a head beside the backbone": lambda s, o: {
        **under("backbone.", body(s)),
        **{name: s[name] for name in HEAD},
    },
    "a compiled network in a wrapper": lambda s, o: {"model": under("model._orig_mod.", s)},
    "an unknown place": lambda s, o: {"config": {"lr": 0.1}, "best_weights": s},
    "numpy's numbers beside it": lambda s, o: {
        "state_dict": s,
        "epoch": np.int64(3),
        "best_acc1": np.float64(71.2),
        "lr": np.float32(0.1),
        "done": np.bool_(True),
        "class_weights": np.ones(5),
        "kind": np.dtype("float16"),
    },
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_each_form_loads_to_the_same_logits(tmp_path: Path, model: nn.Module, other: Tensors, name: str) -> None:
    torch.save(FORMS[name](dict(model.state_dict()), other), tmp_path / "w.pth")
    assert_same_logits(model, f"{NAME}={tmp_path / 'w.pth'}")


def test_where_the_weights_were_found_is_said(tmp_path: Path, model: nn.Module, other: Tensors) -> None:
    torch.save(FORMS["MoCo"](dict(model.state_dict()), other), tmp_path / "w.pth")
    notes = load_model(f"{NAME}={tmp_path / 'w.pth'}").notes
    assert any("those under state_dict.module.encoder_q of w.pth" in note for note in notes)


HEADLESS: dict[str, Callable[[Tensors], Any]] = {
    "the bare backbone": body,
    "under a prefix": lambda s: {"state_dict": under("module.backbone.", body(s))},
    "SwAV": lambda s: {
        **under("module.", body(s)),
        "module.projection_head.0.weight": torch.ones(4, 4),
        "module.prototypes.weight": torch.ones(4, 4),
    },
    "MoCo v2, whose head is a projection": lambda s: {
        "state_dict": {
            **under("module.encoder_q.", body(s)),
            "module.encoder_q.fc.0.weight": torch.ones(64, 64),
            "module.encoder_q.fc.2.weight": torch.ones(16, 64),
        }
    },
}


@pytest.mark.parametrize("name", sorted(HEADLESS))
def test_a_backbone_without_its_head_starts_a_training_and_is_not_measured(
    tmp_path: Path, model: nn.Module, name: str
) -> None:
    torch.save(HEADLESS[name](dict(model.state_dict())), tmp_path / "w.pth")
    reference = f"{NAME}={tmp_path / 'w.pth'}"
    with pytest.raises(ModelError, match=r"backbone without its classifier \(fc\)") as caught:
        load_model(reference)
    assert "kdzoo transfer" in (caught.value.hint or "")
    one, two, drawn = load_model(reference, num_classes=3), load_model(reference, num_classes=3, seed=1), 0
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features: Any = model
        wanted = features.forward_features(images)
        for loaded in (one, two, load_model(reference, new_head=True)):
            network: Any = loaded.model.eval()
            assert torch.equal(network.forward_features(images), wanted)
            drawn += any("has no classifier" in note for note in loaded.notes)
    assert drawn == 3
    assert one.num_classes == 3
    assert not torch.equal(one.model.state_dict()["fc.weight"], two.model.state_dict()["fc.weight"])
    again = load_model(reference, num_classes=3).model.state_dict()
    assert torch.equal(one.model.state_dict()["fc.weight"], again["fc.weight"])


def test_a_folder_without_its_head_too(tmp_path: Path, model: nn.Module) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": NAME, "num_classes": 5, "pretrained_cfg": {}}))
    save_file(body(dict(model.state_dict())), tmp_path / "model.safetensors")
    assert load_model(str(tmp_path), num_classes=2).num_classes == 2
    with pytest.raises(ModelError, match="without its classifier"):
        load_model(str(tmp_path))


def test_two_sets_that_fit_and_differ_are_not_chosen_from(tmp_path: Path, model: nn.Module, other: Tensors) -> None:
    state = dict(model.state_dict())
    torch.save({"student": under("backbone.", state), "teacher": under("backbone.", other)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"several sets .* student\.backbone and teacher\.backbone"):
        load_model(f"{NAME}={tmp_path / 'w.pth'}")
    torch.save({"student": under("backbone.", state), "teacher": under("backbone.", state)}, tmp_path / "w.pth")
    assert_same_logits(model, f"{NAME}={tmp_path / 'w.pth'}")


@pytest.fixture
def shards(tmp_path: Path, model: nn.Module) -> Path:
    """A folder with an index and two files."""
    folder = tmp_path / "shards"
    folder.mkdir()
    state = dict(model.state_dict())
    names = list(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: state[name] for name in own}, folder / file)
    weight_map = {name: file for file, own in parts.items() for name in own}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_weights_in_pieces_load_by_folder_by_index_and_as_a_model_folder(shards: Path, model: nn.Module) -> None:
    assert_same_logits(model, f"{NAME}={shards}")
    assert_same_logits(model, f"{NAME}={shards / 'model.safetensors.index.json'}")
    (shards / "config.json").write_text(json.dumps({"architecture": NAME, "num_classes": 5, "pretrained_cfg": {}}))
    assert_same_logits(model, str(shards))
    assert_same_logits(model, f"local-dir:{shards}")


def test_pieces_that_are_missing_foreign_or_elsewhere_are_named(shards: Path) -> None:
    index = shards / "model.safetensors.index.json"
    record = json.loads(index.read_text())
    second = shards / "model-00002-of-00002.safetensors"
    index.write_text(json.dumps({"weight_map": {**record["weight_map"], "more.weight": second.name}}))
    with pytest.raises(ModelError, match=r"do not hold the same weights: 1 differ \(more\.weight\)"):
        load_model(f"{NAME}={index}")
    for elsewhere in ("../w.safetensors", "/etc/passwd", "a/b", "", 3, ".hidden"):
        index.write_text(json.dumps({"weight_map": {"a": elsewhere}}))
        with pytest.raises(ModelError, match="outside its own folder"):
            load_model(f"{NAME}={index}")
    index.write_text(json.dumps(record))
    second.unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors of them is not beside it"):
        load_model(f"{NAME}={index}")
    index.write_text(json.dumps({"weights": 1}))
    with pytest.raises(ModelError, match="no weight_map"):
        load_model(f"{NAME}={index}")


def test_positions_are_resized_by_timms_conversion_and_nothing_else_is(tmp_path: Path) -> None:
    torch.manual_seed(3)
    vit: Any = timm.create_model("test_vit", num_classes=4).eval()
    original = dict(vit.state_dict())
    larger = timm.create_model("test_vit", num_classes=4, img_size=224).state_dict()
    torch.save({"model": {**original, "pos_embed": larger["pos_embed"]}}, tmp_path / "w.pth")
    loaded = load_model(f"test_vit={tmp_path / 'w.pth'}")  # position embeddings of another size are resized
    assert torch.equal(loaded.model.state_dict()["head.weight"], vit.state_dict()["head.weight"])
    coarser = timm.create_model("test_vit", num_classes=4, patch_size=8).state_dict()
    torch.save(coarser, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"of another shape .*patch_embed") as caught:
        load_model(f"test_vit={tmp_path / 'w.pth'}")
    assert "another architecture" in (caught.value.hint or "")


def test_another_architecture_is_said_where_shapes_differ_alone(tmp_path: Path, model: nn.Module) -> None:
    renamed = {f"stage.{number}.w": tensor for number, tensor in enumerate(model.state_dict().values())}
    torch.save({"state_dict": renamed}, tmp_path / "w.pth")
    with pytest.raises(
        ModelError, match=r"\d+ missing \(conv1\.weight.* unexpected \(.*0\.w \(16, 3, 3, 3\)"
    ) as caught:
        load_model(f"{NAME}={tmp_path / 'w.pth'}")
    assert "another architecture" not in (caught.value.hint or "")
    torch.save(timm.create_model("cifar_resnet8x4").state_dict(), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"of another shape \(conv1") as caught:
        load_model(f"{NAME}={tmp_path / 'w.pth'}")
    assert "another architecture" in (caught.value.hint or "")


def test_a_layer_more_is_another_network(tmp_path: Path, model: nn.Module) -> None:
    state = {**model.state_dict(), "layer1.1.conv1.weight": torch.ones(16, 16, 3, 3)}
    torch.save(under("model.", state), tmp_path / "w.pth")
    for asked in ({}, {"num_classes": 2}):
        with pytest.raises(ModelError, match=r"1 unexpected \(layer1\.1\.conv1\.weight"):
            load_model(f"{NAME}={tmp_path / 'w.pth'}", **asked)


def test_a_file_of_nothing_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="holds no weights: what it has is epoch, args"):
        load_model(f"{NAME}={tmp_path / 'w.pth'}")


def test_a_refusal_of_the_safe_reader_stands(tmp_path: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm is not asked to read what was refused: its own reader would unfold it."""
    import timm.models._builder as builder
    import timm.models._helpers as helpers

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("timm read a file that was refused")

    for module in (builder, helpers):
        monkeypatch.setattr(module, "load_state_dict", never)
    import zipfile

    (tmp_path / "config.json").write_text(json.dumps({"architecture": NAME, "num_classes": 5, "pretrained_cfg": {}}))
    torch.save(model.state_dict(), tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    with pytest.raises(ModelError, match="is compressed"):
        load_model(str(tmp_path))


def special(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    return path


@pytest.mark.parametrize("kind", ["fifo", "zero", "loop", "socket"])
def test_special_files_are_named_and_not_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = special(Path(), kind)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architecture": NAME, "num_classes": 5, "pretrained_cfg": {}}))
    path.rename(folder / "model.safetensors") if kind != "loop" else (folder / "model.safetensors").symlink_to(
        folder / "model.safetensors"
    )
    place = folder / "model.safetensors"
    for reference in (str(place), f"{NAME}={place}", f"local-dir:{place}", str(folder)):
        with pytest.raises(UsageError, match=r"model\.safetensors is a"):
            load_model(reference)
    place.rename(folder / "config.json") if kind != "loop" else None
    if kind != "loop":
        with pytest.raises(KdzooError):
            load_model(str(folder))


@pytest.mark.parametrize(
    "text", ["x" * 400, "./" + "x" * 400, "cifar_resnet8=" + "x" * 400, "~nobody-of-this-name/m", "a\0b"]
)
def test_paths_that_no_system_has_are_one_line(text: str) -> None:
    with pytest.raises(KdzooError) as caught:
        load_model(text)
    assert "\n" not in caught.value.message
