"""What a config.json of others may say: what timm itself publishes loads, everything else is one line."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import get_pretrained_cfg, list_models
from torch import nn

from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model, networks
from kdzoo.zoo.architecture_arguments import ALLOWED
from kdzoo.zoo.model_folder import read_model_config

GOOD: dict[str, Any] = {"architecture": "test_vit", "num_classes": 3, "pretrained_cfg": {"input_size": [3, 160, 160]}}


def write(folder: Path, config: Any, weights: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    if weights is not None:
        save_file(weights, folder / "model.safetensors")
    return folder


def read_record(name: str) -> dict[str, Any]:
    """config.json as timm.models.push_to_hf_hub writes it."""
    record = get_pretrained_cfg(name).to_dict(remove_source=True)
    architecture, num_classes = name.partition(".")[0], record.pop("num_classes")
    return {"architecture": architecture, "num_classes": num_classes, "pretrained_cfg": record}


def test_records_that_timm_publishes_are_read(tmp_path: Path) -> None:
    names = [name for name in list_models(pretrained=True, include_tags=True) if "." in name][::4]
    assert len(names) > 350
    refused = []
    path = tmp_path / "config.json"
    for name in names:
        record = read_record(name)
        path.write_text(json.dumps(record))
        try:
            config = read_model_config(path)
        except ModelError as error:
            refused.append((name, error.message))
            continue
        source = record["pretrained_cfg"]
        for key in ("first_conv", "classifier", "mean", "std", "crop_pct", "input_size", "fixed_input_size"):
            got, wanted = (json.loads(json.dumps(one.get(key))) or None for one in (config.pretrained_cfg, source))
            assert got == wanted, (name, key)
        assert config.num_classes == record["num_classes"]
    assert refused == []


REAL_ARGUMENTS: dict[str, dict[str, Any]] = {
    "MahmoodLab/UNI": {"img_size": 224, "init_values": 1.0, "num_classes": 0, "dynamic_img_size": True},
    "prov-gigapath": {
        "img_size": 224, "in_chans": 3, "patch_size": 16, "embed_dim": 1536, "depth": 40, "num_heads": 24,
        "init_values": 1e-05, "mlp_ratio": 5.33334, "num_classes": 0,
    },
    "H-optimus-0": {"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False},
    "Virchow2": {"mlp_ratio": 5.3375, "global_pool": "", "reg_tokens": 4, "dynamic_img_size": True},
    "a narrow ResNet": {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_width": 8, "act_layer": "silu"},
    "an EfficientNet": {"drop_rate": 0.2, "drop_path_rate": 0.2, "bn_eps": 1e-3, "global_pool": "avgmax"},
    "a Swin": {"window_size": [7, 7], "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "qkv_bias": True},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REAL_ARGUMENTS))
def test_arguments_that_people_publish_are_read(tmp_path: Path, name: str) -> None:
    given = REAL_ARGUMENTS[name]
    config = read_model_config(write(tmp_path, GOOD | {"model_args": given}) / "config.json")
    assert config.model_args == {key: value for key, value in given.items() if key not in ("num_classes", "in_chans")}
    assert config.num_classes == given.get("num_classes", 3)


def test_every_allowed_argument_is_one_of_a_network_and_none_of_timms_factory() -> None:
    """The list holds no name that timm's factory would take for itself, today or after an update."""
    known: set[str] = set()
    for package in (timm.models, networks):
        for module in pkgutil.iter_modules(package.__path__):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = importlib.import_module(f"{package.__name__}.{module.name}")
            for one in vars(found).values():
                if inspect.isclass(one) and issubclass(one, nn.Module) and "timm" in one.__module__ + "kdzoo timm":
                    known |= set(inspect.signature(one.__init__).parameters)
                elif inspect.isclass(one) and dataclasses.is_dataclass(one):
                    known |= {field.name for field in dataclasses.fields(one)}
    assert set(ALLOWED) - known <= {"bn_tf", "bn_momentum", "bn_eps"}  # timm's EfficientNets take these in words
    factory = set(inspect.signature(timm.create_model).parameters)
    factory |= set(inspect.signature(timm.models.build_model_with_cfg).parameters)
    features = {"features_only", "out_indices", "feature_cls", "fork_feat", "return_interm_layers", "aux_logits"}
    assert not set(ALLOWED) & (factory | features | {"pruned", "cfg", "block_args", "device", "dtype"})


BAD_ARGUMENTS: dict[str, Any] = {
    "pretrained_strict": False,
    "pretrained_filter_fn": "x",
    "pretrained": True,
    "pretrained_cfg": {"file": "/etc/passwd"},
    "pretrained_cfg_overlay": {"url": "http://127.0.0.1:9/x"},
    "kwargs_filter": ["num_classes"],
    "model_cfg": {},
    "features_only": True,
    "out_indices": [1, 2],
    "feature_cls": "getter",
    "pruned": True,
    "cache_dir": "/tmp",
    "checkpoint_path": "/etc/passwd",
    "exportable": True,
    "aux_logits": True,
    "device": "meta",
    "dtype": "float16",
    "depth": 100_000,
    "embed_dim": 10**9,
    "img_size": 60_000,
    "drop_rate": 1.5,
    "norm_eps": float("nan"),
    "qkv_bias": "yes",
    "num_heads": 2.5,
    "act_layer": "../x y",
    "class_token": 1,
    "mlp_ratio": {"a": 1},
    "num_classes": -5,
    "in_chans": 4,
}


@pytest.mark.parametrize("name", sorted(BAD_ARGUMENTS))
def test_another_argument_or_value_is_one_line(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "m", GOOD | {"model_args": {name: BAD_ARGUMENTS[name]}}, {"a": torch.ones(1)})
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    assert name in caught.value.message or "channels" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "record",
    [
        {"crop_pct": 1e-9},
        {"crop_pct": 0},
        {"crop_pct": -0.9},
        {"crop_pct": 3},
        {"crop_pct": float("nan")},
        {"input_size": [3, 60_000, 60_000]},
        {"input_size": [3, 224, 10**9]},
        {"input_size": [3, 0, 0]},
        {"input_size": [3, 32.5, 32]},
        {"input_size": [3]},
        {"input_size": 224},
        {"std": [0.0, 0.2, 0.2]},
        {"std": [1e-30, 0.2, 0.2]},
        {"std": [float("inf"), 0.2, 0.2]},
        {"mean": [float("nan"), 0.5, 0.5]},
        {"mean": [123.7, 116.3, 103.5]},
        {"mean": [10**400, 0, 0]},
        {"mean": [0.5]},
        {"interpolation": "magic"},
    ],
)
def test_preprocessing_has_its_ranges(tmp_path: Path, record: dict[str, Any]) -> None:
    folder = write(tmp_path / "m", GOOD | {"pretrained_cfg": {**GOOD["pretrained_cfg"], **record}})
    with pytest.raises(ModelError, match=r"preprocessing|channels") as caught:
        read_model_config(folder / "config.json")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 5000 + "]" * 5000, "nested too deep|names no architecture|not readable JSON"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deep|names no architecture|not readable JSON"),
        (" " * (21 * 2**20), "larger than any config.json"),
        ("\x00\xff", "not readable JSON"),
        ("null", "names no architecture"),
        ('{"architecture": "resnet18", "num_classes": 2, "model_args": "x"}', "not an object"),
        ('{"architecture": "resnet18", "num_classes": 2, "pretrained_cfg": 3}', "not an object"),
        ('{"architecture": "resnet18", "num_classes": 1e999, "pretrained_cfg": {}}', "num_classes"),
        ('{"architecture": "resnet18", "num_classes": 300000, "pretrained_cfg": {}}', "num_classes"),
        ('{"architecture": "hf-hub:a/b", "num_classes": 2, "pretrained_cfg": {}}', "neither timm"),
        ('{"architecture": "local-dir:/x", "num_classes": 2, "pretrained_cfg": {}}', "neither timm"),
    ],
)
def test_documents_of_any_kind_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(str(folder))
    assert "\n" not in caught.value.message


def test_another_architectures_weights_do_not_load_whatever_the_record_says(tmp_path: Path) -> None:
    """Every way that loosened the check of the weights through timm's own loading."""
    weights = timm.create_model("cifar_resnet14", num_classes=3).state_dict()
    record = {"num_classes": 7, "label_offset": 1, "custom_load": True, "first_conv": "fc", "state_dict": {"a": 1}}
    for config in (
        {"architecture": "cifar_resnet8", "num_classes": 3, "pretrained_cfg": record},
        {
            "architecture": "cifar_resnet8",
            "num_classes": 3,
            "pretrained_cfg": {},
            "model_args": {"pretrained_strict": False},
        },
    ):
        with pytest.raises(ModelError):
            load_model(str(write(tmp_path / "m", config, weights)))


def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(tmp_path: Path) -> None:
    arguments = {"embed_dim": 49152, "depth": 6, "num_heads": 3}
    folder = write(tmp_path / "m", GOOD | {"model_args": arguments}, {"a": torch.ones(9)})
    with pytest.raises(ModelError, match=r"describes a network of \d+ parameters"):
        load_model(str(folder))
