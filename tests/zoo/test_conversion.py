"""Converted weights give PaddleClas' own logits; a file that does not fit is refused, never half used.

The references (tests/references/paddle) hold the names and shapes of the official networks' tensors and their logits
for fixed weights and images; tests/references/paddle_logits.py made them, in Paddle, and fixed_weights.py holds the
rule for the values.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from kdzoo.base.errors import ModelError
from kdzoo.zoo.conversion import conversions, convert, released_network
from kdzoo.zoo.pdparams import read_pdparams

REFERENCES = Path(__file__).parents[1] / "references"
FILES = sorted((REFERENCES / "paddle").glob("*.npz"))
QUICK = (
    *("GhostNet_x1_3-plain", "MobileNetV1-legendary", "MobileNetV2-plain", "MobileNetV3_large_x1_0-plain"),
    *("MobileNetV3_small_x0_35-legendary", "PPLCNet_x0_25-legendary", "Res2Net50_vd_26w_4s-plain"),
    *("ResNet34_vd-legendary", "ResNet50_vd-plain"),
)
"""A network of each family, some in either dialect; the others are slow."""


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REFERENCES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fixed = _module("fixed_weights")


def source_of(file: Path) -> dict[str, Tensor]:
    """The fixed weights of the official network, under its own names."""
    reference = np.load(file, allow_pickle=False)
    shapes = {str(name): [int(n) for n in shape if n] for name, shape in zip(reference["names"], reference["shapes"])}
    gain, seed = fixed.GAIN[file.stem.split("-")[0]], int(reference["seed"])
    return {name: torch.from_numpy(fixed.fixed_tensor(name, shape, gain, seed)) for name, shape in shapes.items()}


@cache
def small_source() -> dict[str, Tensor]:
    return source_of(REFERENCES / "paddle" / "MobileNetV3_small_x0_35-legendary.npz")


def differences(file: Path, model: nn.Module) -> tuple[float, float]:
    """Largest difference from the official logits, in float32 and in float64."""
    reference = np.load(file, allow_pickle=False)
    images = torch.from_numpy(fixed.fixed_images(2, *reference["size"].tolist(), int(reference["seed"])))
    with torch.inference_mode():
        single = np.abs(model(images).numpy() - reference["logits"]).max()
        double = np.abs(model.double()(images[:1].double()).numpy() - reference["exact_logits"]).max()
    return float(single), float(double)


def test_every_network_and_dialect_has_a_reference() -> None:
    assert {tuple(file.stem.split("-")) for file in FILES} == {
        (network, dialect) for network, table in conversions().items() for dialect in table.dialects
    }


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=() if file.stem in QUICK else pytest.mark.slow) for file in FILES],
    ids=lambda file: file.stem,
)
def test_the_twin_gives_the_official_logits(file: Path) -> None:
    network, dialect = file.stem.split("-")
    converted = convert(network, source_of(file))
    assert (converted.network, converted.dialect, converted.num_classes) == (network, dialect, 1000)
    single, double = differences(file, converted.build())
    assert single < 1e-4
    # Float64 tells rounding from a real difference; the folded 0.8 and Paddle's float32 slope leave 2e-7.
    assert double < (1e-6 if converted.network.startswith(("MobileNetV3", "PPLCNet")) else 1e-10)


@pytest.mark.parametrize(
    ("network", "stock"),
    [
        ("ResNet34_vd-legendary", "resnet34d"),
        pytest.param("Res2Net50_vd_26w_4s-plain", "res2net50d", marks=pytest.mark.slow),
        ("MobileNetV2-plain", "mobilenetv2_100"),
        pytest.param("MobileNetV3_large_x1_0-legendary", "mobilenetv3_large_100", marks=pytest.mark.slow),
        pytest.param("GhostNet_x1_3-plain", "ghostnet_130", marks=pytest.mark.slow),
        ("MobileNetV1-plain", "mobilenetv1_100"),
    ],
)
def test_timms_own_network_is_not_the_twin(network: str, stock: str) -> None:
    """The twins earn their place: timm's nearest network takes the weights not at all, or computes something else."""
    file = REFERENCES / "paddle" / f"{network}.npz"
    weights = convert(network.split("-")[0], source_of(file)).state_dict
    model = timm.create_model(stock, pretrained=False).eval()
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        return
    assert differences(file, model)[0] > 1e-3


def test_the_dropout_factor_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MobileNetV3_small_x0_35"
    without = replace(conversions()[name], classifier_scale=1.0)
    monkeypatch.setitem(conversions(), name, without)
    file = REFERENCES / "paddle" / f"{name}-legendary.npz"
    assert differences(file, convert(name, small_source()).build())[0] > 1e-2


def test_the_factor_is_on_the_weight_alone() -> None:
    source = small_source()
    converted = convert("MobileNetV3_small_x0_35", source).state_dict
    assert torch.equal(converted["classifier.weight"], source["fc.weight"].t() * (1 - 0.2))
    assert torch.equal(converted["classifier.bias"], source["fc.bias"])


@pytest.mark.parametrize("network", conversions())
def test_no_tensor_has_two_rows(network: str) -> None:
    table = conversions()[network]
    for dialect in table.dialects.values():
        rows = [tensor for row in dialect.rows for tensor in row.tensors(dialect.naming)]
        assert max(Counter(row.source for row in rows).values()) == 1
        assert max(Counter(row.target for row in rows).values()) == 1


def test_source_is_left_as_it_was() -> None:
    source = {name: tensor.clone() for name, tensor in small_source().items()}
    converted = convert("MobileNetV3_small_x0_35", source)
    for tensor in converted.state_dict.values():
        tensor.zero_()
    assert all(torch.equal(source[name], tensor) for name, tensor in small_source().items())


def test_another_number_of_classes() -> None:
    source = dict(small_source())
    source["fc.weight"], source["fc.bias"] = source["fc.weight"][:, :7], source["fc.bias"][:7]
    converted = convert("MobileNetV3_small_x0_35", source)
    assert converted.num_classes == 7
    assert converted.build()(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.3.expand_conv.bn._mean": None}, r"lacks blocks\.3\.expand_conv\.bn\._mean"),
        ({"fc.bias": None}, r"no classifier bias fc\.bias"),
        ({"blocks.99.extra": torch.zeros(3)}, r"no place in the twin, blocks\.99\.extra"),
        ({"conv.conv.weight": torch.zeros(8, 3, 5, 5)}, r"shape \(8, 3, 5, 5\), which does not fit conv_stem\.weight"),
        ({"fc.weight": torch.zeros(1000, 1280)}, r"shape \(1000, 1280\), which does not fit classifier\.weight"),
        ({"fc.weight": torch.zeros(1280)}, "has 1 dimensions"),
        ({"conv.bn._mean": torch.full((8,), float("nan"))}, "not finite"),
        ({"conv.bn._mean": torch.full((8,), float("inf"))}, "not finite"),
        ({"conv.bn._mean": torch.zeros(8, dtype=torch.float64)}, "holds torch.float64"),
        ({"conv.bn._mean": torch.zeros(8, dtype=torch.int64)}, "holds torch.int64"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: dict[str, Tensor | None], message: str) -> None:
    source = {name: tensor for name, tensor in {**small_source(), **change}.items() if tensor is not None}
    with pytest.raises(ModelError, match=message):
        convert("MobileNetV3_small_x0_35", source)


def test_a_dropped_key_may_be_there_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MobileNetV3_small_x0_35"
    table = conversions()[name]
    dialect = replace(table.dialects["legendary"], dropped=("ema.decay",))
    monkeypatch.setitem(conversions(), name, replace(table, dialects={"legendary": dialect}))
    assert convert(name, {**small_source(), "ema.decay": torch.zeros(1)}).dialect == "legendary"
    with pytest.raises(ModelError, match=r"no place in the twin, ema\.rate"):
        convert(name, {**small_source(), "ema.decay": torch.zeros(1), "ema.rate": torch.zeros(1)})


def test_another_networks_file_is_named_as_such() -> None:
    with pytest.raises(ModelError, match=r"of which \d+ are named as PPLCNet_x1_0's"):
        convert("PPLCNet_x1_0", small_source())
    with pytest.raises(ModelError, match=r"does not fit|lacks"):
        convert("MobileNetV3_small_x1_0", small_source())


def test_released_files_are_known_by_their_names() -> None:
    base = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"
    assert released_network(f"{base}legendary_models/ResNet50_vd_ssld_pretrained.pdparams") == "ResNet50_vd"
    assert released_network("ResNet50_vd_ssld_v2_pretrained.pdparams") == "ResNet50_vd"
    assert released_network("Fix_ResNet50_vd_ssld_v2_pretrained.pdparams") == "ResNet50_vd"
    assert released_network("MobileNetV2_ssld_pretrained.pdparams") == "MobileNetV2"
    assert all(released_network(f"{name}_ssld_pretrained.pdparams") == name for name in conversions())
    with pytest.raises(ModelError) as caught:
        released_network("ResNet51_vd")
    assert str(caught.value.hint).startswith("did you mean 'ResNet50_vd'?")


@pytest.mark.parametrize("protocol", [2, 4])
def test_from_a_pdparams_file_to_a_folder_that_timm_loads(tmp_path: Path, protocol: int) -> None:
    """The whole way: read safely, convert, save in timm's layout, load by timm's own means, same bits."""
    name = "MobileNetV3_small_x0_35"
    content = {key: tensor.numpy() for key, tensor in small_source().items()}
    path = tmp_path / f"{name}_ssld_pretrained.pdparams"
    path.write_bytes(pickle.dumps({**content, "StructuredToParameterName@@": {"fc.bias": "linear_0.b_0"}}, protocol))
    converted = convert(path.name, read_pdparams(path))
    model = converted.build()
    timm.models.save_for_hf(model, str(tmp_path / "model"), model_args=converted.model_args, safe_serialization=True)
    loaded = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    images = torch.from_numpy(fixed.fixed_images(2, 64, 64))
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize("network", ["MobileNetV1", "PPLCNet_x0_5"])
def test_model_args_survive_timms_config(tmp_path: Path, network: str) -> None:
    """Networks that are timm's own but for an argument load in any timm, without kdzoo's registrations."""
    file = next(file for file in FILES if file.stem.startswith(f"{network}-"))
    converted = convert(network, source_of(file))
    assert not converted.architecture.endswith("_paddle")
    model = converted.build()
    timm.models.save_for_hf(model, str(tmp_path), model_args=converted.model_args, safe_serialization=True)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert max(differences(file, loaded)) < 1e-4


def test_the_tables_are_not_built_where_nothing_is_converted(fork_server, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, kdzoo.zoo.pulling; print([name for name in sys.modules if name.startswith('kdzoo.zoo.conv')])"
    )
    done = fork_server.run(program)
    assert "kdzoo.zoo.conversion.convert" in done.stdout
    assert "resnets" not in done.stdout
    assert "mobile_networks" not in done.stdout
