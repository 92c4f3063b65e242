"""A run on grey images with balanced classes and a rate by layer: trained, killed, measured, exported, taught from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kdzoo

from .staged import write_data

if TYPE_CHECKING:
    from fork_server import ForkServer

KILL = Path(__file__).parents[1] / "engine" / "kill_program.py"
PLACES = ("step:2", "checkpoint_half_written:1", "step:3", "before_digest:2", "inside_a_log_line:1")
CHOSEN = {"data.grey": True, "objective.class_weights": "balanced", "optimizer.layer_decay": 0.8}


@pytest.mark.slow
def test_a_grey_student_is_of_use_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = str(write_data(tmp_path / "data"))
    shared = {"epochs": 1, "batch_size": 16, "workers": 0, "device": "cpu"}
    made = kdzoo.train("cifar_resnet8", data=data, out="grey", settings=CHOSEN, **shared)
    kdzoo.export_model("grey", "onnx", "grey.onnx")
    for reference in ("grey", "grey.onnx", str(max(Path("grey/checkpoints").glob("step-*.safetensors")))):
        (measured,) = kdzoo.evaluate(reference, on=data, device="cpu", workers=0)
        assert measured.metrics["top1"] == made.metrics["top1"], reference
    taught = kdzoo.distill(student="cifar_resnet8", teachers=["grey"], data=data, out="student", **shared)
    assert taught.metrics.num_images == made.metrics.num_images


@pytest.mark.slow
@pytest.mark.numeric
def test_kills_change_nothing(tmp_path: Path, fork_server: ForkServer) -> None:
    given = {
        **CHOSEN,
        "student.model": "cifar_resnet8",
        "data.dataset": str(write_data(tmp_path / "data")),
        "data.augmentation.image_size": 16,
        "training.epochs": 3,
        "training.patience": 5,
        "training.views_per_decode": 2,
        "training.batch_size": 16,
        "training.log_every_steps": 1,
        "training.checkpoint_every_steps": 2,
        "run.workers": 0,
        "run.device": "cpu",
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"recipe": "from_scratch", "variants": [], "given": given}))
    whole = fork_server.run(KILL, tmp_path / "whole", 0, f"--plan={plan}").stdout.splitlines()
    killed = fork_server.run(KILL, tmp_path / "killed", 0, *PLACES, f"--plan={plan}").stdout.splitlines()
    assert (whole, killed) == (["end exit 0"], [*(f"{place} signal 9" for place in PLACES), "end exit 0"])
    ends = []
    for out in (tmp_path / "whole", tmp_path / "killed"):
        last = max((out / "checkpoints").glob("step-*.safetensors"))
        ends.append([path.read_bytes() for path in (last, out / "model/model.safetensors", out / "metrics.jsonl")])
    assert ends[0] == ends[1]
