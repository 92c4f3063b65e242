import hashlib
import json
import warnings
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from kdzoo.base.errors import CheckpointError, ModelError
from kdzoo.zoo import Preprocessing, load_model
from kdzoo.zoo.downloads import hub_is_reachable


@pytest.fixture
def offline(tmp_path, monkeypatch) -> Path:
    """An empty Hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    hub_is_reachable.cache_clear()
    yield tmp_path / "hub"
    hub_is_reachable.cache_clear()


def put_in_cache(cache: Path, repository: str, files: dict[str, bytes]) -> None:
    """The Hub's cache layout."""
    root = cache / f"models--{repository.replace('/', '--')}"
    commit = "0" * 40
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)


def weights_bytes(model: torch.nn.Module, path: Path) -> bytes:
    save_file(model.state_dict(), path)
    return path.read_bytes()


def test_random_weights_are_seeded_and_leave_the_generators_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (load_model("cifar_resnet8", seed=seed).model.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


def test_a_bare_name_is_random_and_keeps_its_meaning():
    loaded = load_model("cifar_resnet8", num_classes=4)
    assert (loaded.reference, loaded.pretrained, loaded.num_classes) == ("cifar_resnet8", False, 4)
    assert "random" in loaded.notes[0]
    assert loaded.model.num_classes == 4
    assert not load_model(load_model("resnet18").reference).pretrained


def test_preprocessing_is_timms_with_its_traps():
    assert load_model("cifar_resnet8").preprocessing == Preprocessing(
        image_size=32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        interpolation="bilinear",
        crop_pct=1.0,
    )
    mobile = load_model("tf_mobilenetv3_small_075.in1k", pretrained=False).preprocessing
    assert (mobile.mean, mobile.std, mobile.interpolation) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    assert load_model("test_resnet", image_size=96).preprocessing.image_size == 96


def test_an_image_size_reaches_an_architecture_that_is_built_for_one():
    loaded = load_model("test_vit", image_size=96)
    assert loaded.model_args == {"img_size": 96}
    assert loaded.preprocessing.image_size == 96
    assert loaded.model(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)
    assert load_model("cifar_resnet8", image_size=64).model_args == {}
    with pytest.raises(ModelError, match="positive"):
        load_model("test_vit", image_size=0)


def test_missing_weights_say_what_where_and_how(offline):
    for reference, name in (("resnet18.a1_in1k", "timm/resnet18.a1_in1k"), ("hf-hub:org/name@v2", "org/name@v2")):
        with pytest.raises(ModelError, match=name) as caught:
            load_model(reference)
        assert str(offline) in caught.value.message
        assert f"hf download {name.partition('@')[0]}" in caught.value.hint
        assert "kdzoo demo" in caught.value.hint
        assert "\n" not in caught.value.message + caught.value.hint
    with pytest.raises(ModelError, match=r"timm/resnet18\.a1_in1k"):
        load_model("resnet18", pretrained=True)
    with pytest.raises(ModelError, match="no weights for cifar_resnet8"):
        load_model("cifar_resnet8", pretrained=True)
    assert not load_model("resnet18.a1_in1k", pretrained=False).pretrained


def test_timms_weights_come_from_the_cache(offline, tmp_path):
    source = timm.create_model("test_resnet")
    put_in_cache(offline, "timm/test_resnet.r160_in1k", {"model.safetensors": weights_bytes(source, tmp_path / "w")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_model("test_resnet", pretrained=True)
    assert loaded.reference == "test_resnet.r160_in1k"
    assert loaded.pretrained
    assert "pinned" in loaded.notes[0]
    assert loaded.preprocessing.image_size == 160
    assert loaded.class_names[:2] == ("n01440764", "n01443537")
    assert all(torch.equal(t, loaded.model.state_dict()[name]) for name, t in source.state_dict().items())
    torch.manual_seed(9)
    before = torch.get_rng_state()
    few = load_model("test_resnet.r160_in1k", num_classes=5, seed=3)
    again = load_model("test_resnet.r160_in1k", num_classes=5, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert (few.num_classes, few.class_names, few.promised_top1) == (5, (), None)
    assert "new head for 5" in few.notes[-1]
    assert torch.equal(few.model.get_classifier().weight, again.model.get_classifier().weight)
    assert few.model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_promises_are_those_of_the_weights_at_their_own_size(offline, tmp_path):
    source = timm.create_model("resnet18")
    put_in_cache(offline, "timm/resnet18.tv_in1k", {"model.safetensors": weights_bytes(source, tmp_path / "w")})
    loaded = load_model("resnet18.tv_in1k")
    assert (loaded.promised_top1, loaded.promised_on, loaded.licence) == (69.75, "imagenet", "bsd-3-clause")
    assert load_model("resnet18.tv_in1k", image_size=160).promised_top1 is None
    assert load_model("resnet18.tv_in1k", pretrained=False).promised_top1 is None


def test_a_hub_repository_in_the_cache(offline, tmp_path):
    source = timm.create_model("cifar_resnet8", num_classes=3)
    config = {
        "architecture": "cifar_resnet8",
        "num_classes": 3,
        "label_names": ["a", "b", "c"],
        "pretrained_cfg": {"input_size": [3, 48, 48], "mean": [0.1] * 3, "std": [0.2] * 3, "crop_pct": 0.9},
        "kdzoo": {"top1": 81.5, "data": "digits"},
    }
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": weights_bytes(source, tmp_path / "w")}
    put_in_cache(offline, "org/name", files)
    loaded = load_model("hf-hub:org/name")
    assert (loaded.reference, loaded.class_names) == ("hf-hub:org/name", ("a", "b", "c"))
    assert (loaded.promised_top1, loaded.promised_on) == (81.5, "digits")
    assert loaded.preprocessing.image_size == 48
    assert torch.equal(loaded.model.fc.weight, source.fc.weight)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("not json", "not readable JSON"),
        ("[]", "no architecture"),
        ('{"architecture": "../../etc", "num_classes": 2, "pretrained_cfg": {}}', "neither timm"),
        ('{"architecture": "cifar_resnet8", "num_classes": "2", "pretrained_cfg": {}}', "num_classes"),
        ('{"architecture": "cifar_resnet8", "num_classes": 2, "pretrained_cfg": {"std": [0, 1, 1]}}', "no sense"),
        ('{"architecture": "cifar_resnet8", "num_classes": 2, "pretrained_cfg": {"mean": null}}', "preprocessing"),
        (
            '{"architecture": "cifar_resnet8", "num_classes": 2, "pretrained_cfg": {"input_size": [2, 9, 9]}}',
            "channels",
        ),
        (
            '{"architecture": "cifar_resnet8", "num_classes": 2, "pretrained_cfg": {}, "model_args": {"depth": 3}}',
            "could not be built",
        ),
    ],
)
def test_a_wrong_config_is_one_line(tmp_path, config, message):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(f"local-dir:{tmp_path}")
    assert "\n" not in caught.value.message


@pytest.fixture
def run(tmp_path) -> Path:
    """A run folder before its model is exported."""
    (tmp_path / "checkpoints").mkdir()
    model = timm.create_model("cifar_resnet8", num_classes=3, shortcut="padding")
    tensors = {f"student/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors["optimizer/x"] = torch.zeros(2)
    path = tmp_path / "checkpoints" / "step-000000007.safetensors"
    save_file(tensors, path, metadata={"state": "{}"})
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    look = {"image_size": 24, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bicubic", "crop_pct": 0.9}
    student = {
        "architecture": "cifar_resnet8",
        "model_args": {"shortcut": "padding"},
        "num_classes": 3,
        "preprocessing": look,
        "class_names": ["a", "b", "c"],
    }
    (tmp_path / "config.json").write_text(json.dumps({"student": student}))
    return tmp_path


def test_a_checkpoint_gives_its_student(run):
    path = run / "checkpoints" / "step-000000007.safetensors"
    for reference in (run, path):
        loaded = load_model(str(reference))
        assert (loaded.architecture, loaded.model_args) == ("cifar_resnet8", {"shortcut": "padding"})
        assert loaded.class_names == ("a", "b", "c")
        assert loaded.preprocessing.image_size == 24
        assert loaded.pretrained
        assert "fc.weight" in loaded.model.state_dict()
    assert load_model(str(path), num_classes=9).num_classes == 9


def test_a_damaged_checkpoint_is_refused(run):
    path = run / "checkpoints" / "step-000000007.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-1000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_model(str(run))
    path.with_suffix(".sha256").unlink()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(str(run))


def test_a_checkpoint_of_another_architecture_is_one_line(run):
    config = json.loads((run / "config.json").read_text())
    config["student"]["architecture"] = "cifar_resnet14"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit cifar_resnet14"):
        load_model(str(run))
    (run / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="names no student"):
        load_model(str(run))
