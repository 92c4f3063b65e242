"""Runs with state of their own (banks, critics, distillers): killed and resumed, and spread over two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kdzoo.engine.job import TrainResult
from kdzoo.engine.state_file import read_state

from .conftest import SMALL

_PROGRAM = Path(__file__).parents[1] / "engine" / "kill_program.py"
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
_CONTRAST = {"objective.contrast.num_negatives": 32}
_NARROW = {**_CONTRAST, "objective.distiller.width": 8, "objective.distiller.max_width": 16}
_RECIPES = {
    "crd": ((), _CONTRAST, 1),
    "exrep": (("small_images",), _NARROW, 1),
    "ae_kd": ((), {}, 3),
    "meal_v1": (("three_stages",), {"objective.block_lengths": [64, 48, 32]}, 2),
    "fixres": ((), {}, 0),
}
_PLACES = ("step:2", "checkpoint_half_written:1", "between_phases:4", "before_digest:2", "inside_a_log_line:1")
_PLACES_OF_ONE_PHASE = ("step:2", "checkpoint_half_written:1", "step:4", "before_digest:2", "inside_a_log_line:1")


def write_plan(folder: Path, recipe: str, teacher: TrainResult, **changes: object) -> Path:
    """A plan of the recipe for ``kill_program.py``: 11 steps of 128, a checkpoint every second."""
    variants, given, teachers = _RECIPES[recipe]
    document = {
        "recipe": recipe,
        "variants": list(variants),
        "given": {
            **SMALL,
            "student.model": teacher.model,
            "training.batch_size": 128,
            "training.checkpoint_every_steps": 2,
            "optimizer.lr": 0.001,
            **({"teachers.models": [teacher.model] * teachers} if teachers else {}),
            **({"data.augmentation.crop": "center"} if recipe != "fixres" else {}),
            **given,
            **changes,
        },
    }
    path = folder / f"{recipe}.json"
    path.write_text(json.dumps(document))
    return path


def outcome(out: Path) -> dict[str, bytes]:
    """The final state (student, optimisers, objective), the model and the metrics, as bytes."""
    last = sorted((out / "checkpoints").glob("step-*.safetensors"))[-1]
    files = [last, out / "model/model.safetensors", out / "metrics.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", _RECIPES)
def test_five_kills_change_nothing(recipe, teacher: TrainResult, tmp_path: Path):
    plan = write_plan(tmp_path, recipe, teacher)
    places = _PLACES if recipe == "exrep" else _PLACES_OF_ONE_PHASE

    def live(out: Path, *killed_at: str) -> list[str]:
        command = [sys.executable, str(_PROGRAM), str(out), "0", *killed_at, f"--plan={plan}"]
        answer = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, timeout=580)
        assert answer.returncode == 0, answer.stderr[-3000:]
        return answer.stdout.splitlines()

    assert live(tmp_path / "killed", *places) == [*(f"{place} signal 9" for place in places), "end exit 0"]
    assert live(tmp_path / "whole") == ["end exit 0"]
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


_SPREAD = """
import json, sys, torch
from pathlib import Path
from kdzoo.engine.distributed import start_processes
from kdzoo.engine.loop import train
from kdzoo.engine.signals import StopRequest
from kdzoo.recipes.plan import Given, resolve
from kdzoo.recipes.run import build_job

torch.set_num_threads(1)
root = Path(sys.argv[1])
with StopRequest() as stop:
    processes = start_processes("cpu")
    for path in sorted(root.glob("*.json")):
        document = json.loads(path.read_text())
        given = {key: Given(value, "test") for key, value in document["given"].items()}
        plan = resolve(document["recipe"], given=given, variants=tuple(document["variants"]))
        out = root / f"{path.stem}-{processes.world_size}"
        job = build_job(plan, out=out, resume=True, trust_teacher=True, processes=processes, stop=stop)
        train(job, processes, stop)
        torch.save(job.objective.state_dict(), root / f"{path.stem}-{processes.world_size}-{processes.rank}.pt")
    processes.stop()
"""


@pytest.mark.slow
def test_two_processes_do_what_one_does(teacher: TrainResult, tmp_path: Path):
    for recipe in _RECIPES:
        write_plan(tmp_path, recipe, teacher)
    program = tmp_path / "program.py"
    program.write_text(_SPREAD)
    for count in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command = [sys.executable, *launcher, str(program), str(tmp_path)]
        answer = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, timeout=580)
        assert answer.returncode == 0, answer.stderr[-3000:]
    for recipe in _RECIPES:
        first, second = (torch.load(tmp_path / f"{recipe}-2-{rank}.pt") for rank in (0, 1))
        assert all(torch.equal(first[name], second[name]) for name in first), f"{recipe}: processes differ"
    # A BatchNorm in training mode sees half a batch in each of two processes: only a student in eval mode is the same.
    one, two = (read_state(sorted((tmp_path / f"exrep-{n}/checkpoints").glob("step*.safetensors"))[-1]) for n in (1, 2))
    for name, tensor in one["objective"].items():  # sums in another order, carried through eleven adversarial steps
        torch.testing.assert_close(two["objective"][name], tensor, atol=0.02, rtol=0.02)
    lines = [(tmp_path / f"exrep-{n}/metrics.jsonl").read_text().splitlines() for n in (1, 2)]
    steps = [[line for line in map(json.loads, part) if line.pop("kind") == "train"] for part in lines]
    assert len(steps[0]) == 11
    for alone, spread in zip(*steps, strict=True):
        assert spread == pytest.approx(alone, rel=1e-5 if alone["step"] <= 3 else 0.02)
