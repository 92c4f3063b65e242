"""Pulling a repository of the Hub: the real client over HTTP, against a Hub on this machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import load_file, save

import kdzoo.zoo  # noqa: F401 (registers the networks)

pytestmark = pytest.mark.slow  # each call is a process of its own

SCRIPT = """
import json, sys
from kdzoo.base.errors import KdzooError
from kdzoo.zoo import load_model
from kdzoo.zoo.pulling import pull
answers = []
for verb, name in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        if verb == "pull":
            one = pull(name)
            answers.append([one.outcome, str(one.path), one.digest, one.licence, list(one.notes)])
        else:
            one = load_model(name)
            answers.append([one.num_classes, one.preprocessing.to_dict(), one.model.fc.weight.sum().item(), one.notes])
    except KdzooError as error:
        answers.append(["refused", error.message, error.hint])
print(json.dumps(answers))
"""
CONFIG = {
    "architecture": "cifar_resnet8",
    "num_classes": 3,
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "license": "apache-2.0",
    },
}


@pytest.fixture
def run(hub_server, tmp_path):
    """Runs ``pull NAME load NAME …`` in a process that takes the server for the Hub."""

    def call(*arguments: str, **more: str) -> list:
        environment = hub_server.environment(tmp_path / "hf", KDZOO_HOME=str(tmp_path / "home"), **more)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def files(seed: int = 0, **change: object) -> dict[str, bytes]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = timm.create_model("cifar_resnet8", num_classes=3).state_dict()
    return {"config.json": json.dumps(CONFIG | change).encode(), "model.safetensors": save(state)}


def test_pulled_once_it_needs_no_hub(hub_server, run, tmp_path):
    content = files()
    hub_server.add("org/name", content)
    pulled, loaded = run("pull", "hf-hub:org/name", "load", "hf-hub:org/name")
    assert pulled[0] == "pulled"
    assert pulled[3] == "apache-2.0"
    (tmp_path / "w.safetensors").write_bytes(content["model.safetensors"])
    weights = load_file(tmp_path / "w.safetensors")
    assert loaded[:3] == [
        3,
        {
            "image_size": 32,
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
        },
        weights["fc.weight"].sum().item(),
    ]
    stock = timm.create_model(f"local-dir:{pulled[1]}", pretrained=True).state_dict()
    assert all(torch.equal(stock[name], tensor) for name, tensor in weights.items())
    hub_server.requests.clear()
    (again,) = run("load", "hf-hub:org/name", HF_ENDPOINT="http://127.0.0.1:9")
    assert again[:3] == loaded[:3]
    assert "is the pulled commit" in again[3][0]
    assert hub_server.requests == []


def test_a_newer_commit_is_taken_when_it_is_pulled_again(hub_server, run):
    hub_server.add("org/name", files())
    first, unchanged = run("pull", "hf-hub:org/name", "pull", "hf-hub:org/name")
    assert (first[0], unchanged[0]) == ("pulled", "there")
    hub_server.add("org/name", files(seed=1))
    loaded, pulled, after = run("load", "hf-hub:org/name", "pull", "hf-hub:org/name", "load", "hf-hub:org/name")
    assert pulled[0] == "pulled"
    assert pulled[2] != first[2]
    assert loaded[2] != after[2]


def test_what_goes_wrong_is_said_and_leaves_nothing(hub_server, run, tmp_path):
    hub_server.add("org/name", files())
    hub_server.add("org/evil", files(model_args={"checkpoint_path": "/etc/passwd"}))
    hub_server.add("org/large", files(num_classes=10**6))
    hub_server.fail(r"GET /lfs-objects/", corrupt=True, times=1)
    damaged, missing, evil, large = run(
        *("pull", "hf-hub:org/name", "pull", "hf-hub:org/none", "pull", "hf-hub:org/evil", "pull", "hf-hub:org/large")
    )
    assert damaged[0] == "refused"
    assert "damaged on the way" in damaged[1]
    assert "no repository org/none" in missing[1]
    assert "'checkpoint_path'" in evil[1]
    assert "describes a network of" in large[1]
    assert not (tmp_path / "home" / "hub").exists()
    snapshots = [path for path in (tmp_path / "hf").rglob("snapshots/*/*") if path.name == "model.safetensors"]
    assert snapshots == []
    (pulled,) = run("pull", "hf-hub:org/name")
    assert pulled[0] == "pulled"
