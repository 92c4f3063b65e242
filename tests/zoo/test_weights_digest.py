"""One flipped bit in a saved model's weights, and weights that are no numbers, are noticed by whoever reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from finished_run import replace_weights
from safetensors.torch import load_file, save_file

import kdzoo
from kdzoo import export_model
from kdzoo.base.errors import ModelError
from kdzoo.base.run_record import read_run
from kdzoo.cli.main import main
from kdzoo.evaluation.analysis.weights import weight_section
from kdzoo.zoo import load_model, save_model
from kdzoo.zoo.generators import load_generator, save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator
from kdzoo.zoo.publishing import prepare
from kdzoo.zoo.weights_digest import KEY


@pytest.fixture
def run(make_run: Callable[..., Path], tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_the_digest_is_that_of_the_file_and_no_part_of_the_provenance(run: Path) -> None:
    config = json.loads((run / "model" / "config.json").read_text())
    written = hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert config["kdzoo"][KEY] == written
    assert KEY not in load_model(str(run)).provenance
    again = save_model(load_model(str(run)), run.parent / "again", provenance={KEY: "0" * 64})
    assert load_model(str(again)).pretrained


READERS: dict[str, Callable[[Path], Any]] = {
    "the run": lambda run: load_model(str(run)),
    "its model folder": lambda run: load_model(str(run / "model")),
    "local-dir": lambda run: load_model(f"local-dir:{run / 'model'}"),
    "with a new head": lambda run: load_model(str(run), num_classes=7),
    "kdzoo.create_model": lambda run: kdzoo.create_model(str(run)),
    "export": lambda run: export_model(str(run), "safetensors", run.parent / "m.safetensors"),
    "publish": lambda run: prepare(run, "org/a"),
    "report": lambda run: weight_section({"run": read_run(run)}, (), []),
}


@pytest.mark.parametrize("reader", sorted(READERS))
def test_a_flipped_bit_is_noticed_by_every_reader(run: Path, reader: str) -> None:
    file = run / "model" / "model.safetensors"
    for at in (-1, -100_000, 12):  # the last weight, one in the middle, the header
        READERS[reader](run)
        (run.parent / "m.safetensors").unlink(missing_ok=True)
        flip(file, at)
        with pytest.raises(ModelError, match=r"model\.safetensors is damaged: its SHA-256") as caught:
            READERS[reader](run)
        assert KEY in (caught.value.hint or "")
        assert not (run.parent / "m.safetensors").exists()
        flip(file, at)


def test_a_verb_says_it_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(run / "model" / "model.safetensors", -1)
    assert main(["export", str(run), "--format", "safetensors", "--out", str(run.parent / "m.safetensors")]) == 1
    assert "model.safetensors is damaged" in capsys.readouterr().err


def test_random_weights_and_folders_without_a_digest_load(run: Path) -> None:
    flip(run / "model" / "model.safetensors", -1)
    assert not load_model(str(run), pretrained=False).pretrained
    config = json.loads((run / "model" / "config.json").read_text())
    for value in (None, "no digest", 3):
        config["kdzoo"][KEY] = value
        (run / "model" / "config.json").write_text(json.dumps(config))
        assert load_model(str(run)).pretrained
    del config["kdzoo"]
    (run / "model" / "config.json").write_text(json.dumps(config))
    assert load_model(str(run)).pretrained


def test_a_generators_weights_are_held_to_theirs(tmp_path: Path) -> None:
    save_generator(ConditionalGenerator(3, 8, width=4, latent_features=8, class_features=8), tmp_path / "g", {})
    load_generator(tmp_path / "g")
    flip(tmp_path / "g" / "model.safetensors", -1)
    with pytest.raises(ModelError, match="is damaged"):
        load_generator(tmp_path / "g")
    config = json.loads((tmp_path / "g" / "config.json").read_text())
    for change in ({"width": 60_000}, {"width": -1}, {"width": 1.5}, {"width": 2**20}, {"file": 1}):
        changed = config | {"arguments": config["arguments"] | change}
        (tmp_path / "g" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ModelError, match="describes no generator"):
            load_generator(tmp_path / "g")
    (tmp_path / "g" / "config.json").write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(ModelError):
        load_generator(tmp_path / "g")


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("name", ["fc.bias", "layer2.0.conv1.weight", "bn1.running_var"])
def test_weights_that_are_not_finite_are_used_for_nothing(run: Path, value: float, name: str) -> None:
    tensors = load_file(run / "model" / "model.safetensors")
    tensors[name].flatten()[0] = value
    replace_weights(run / "model", tensors)
    save_file(tensors, run.parent / "w.safetensors")
    for use in (READERS["the run"], READERS["export"], READERS["publish"]):
        with pytest.raises(ModelError, match=rf"not finite: 1 of \d+ values of {name}"):
            use(run)
    with pytest.raises(ModelError, match="not finite"):
        load_model(f"cifar_resnet8={run.parent / 'w.safetensors'}")
    assert not (run.parent / "m.safetensors").exists()


@pytest.mark.parametrize("form", ["safetensors", "torch-export"])
def test_a_model_whose_outputs_are_not_finite_is_not_exported(run: Path, form: Any) -> None:
    """Finite weights, and logits beyond float32."""
    tensors = load_file(run / "model" / "model.safetensors")
    tensors["fc.weight"] = torch.full_like(tensors["fc.weight"], 3e38)
    replace_weights(run / "model", tensors)
    out = run.parent / {"safetensors": "m.safetensors", "torch-export": "m.pt2"}[form]
    with pytest.raises(ModelError, match=r"gives no finite numbers: \d of its 3 outputs"):
        export_model(str(run), form, out)
    assert not out.exists()
