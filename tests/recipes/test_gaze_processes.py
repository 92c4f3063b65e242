"""Gaze runs killed and resumed, and spread over two processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fork_server import ForkServer
from mini_mpiigaze import PEOPLE, write_mpiigaze

from .gaze_runs import SMALL, write_teacher

pytestmark = pytest.mark.numeric

_KILL = Path(__file__).parents[1] / "engine" / "kill_program.py"
_SPREAD = Path(__file__).with_name("spread_program.py")
_PLACES = ("step:2", "checkpoint_half_written:1", "step:3", "evaluation:1", "before_digest:2", "inside_a_log_line:1")
CASES = {
    "gaze": ("gaze", ["mixup"], "gaze_lenet"),
    "gaze-teacher": ("gaze", [], "gaze_preact_resnet8_pose"),
    "xcl_gaze": ("xcl_gaze", ["either"], "gaze_lenet_pose"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of MPIIGaze and an untrained teacher."""
    root = tmp_path_factory.mktemp("gaze_runs")
    write_mpiigaze(root / "eyes", people=PEOPLE[:4], days=1, images_a_day=8)
    write_teacher(root / "teacher", scale="variance")
    return root


def write_plan(root: Path, name: str) -> Path:
    recipe, variants, student = CASES[name]
    given = {
        **SMALL,
        "data.dataset": f"mpiigaze@p00:{root / 'eyes'}",
        "student.model": student,
        "training.epochs": 3,
        "training.batch_size": 16,
        "training.checkpoint_every_steps": 2,
        **({"teachers.models": [str(root / "teacher")]} if recipe == "xcl_gaze" else {}),
    }
    path = root / f"{name}.json"
    path.write_text(json.dumps({"recipe": recipe, "variants": variants, "given": given}))
    return path


def whole(root: Path, name: str, server: ForkServer) -> Path:
    """The run of one process that is left alone."""
    out = root / f"{name}-whole"
    if not out.exists():
        server.run(_SPREAD, write_plan(root, name), out)
    return out


def outcome(out: Path) -> dict[str, bytes]:
    """The final state, the model and the metrics, as bytes."""
    last = sorted((out / "checkpoints").glob("step-*.safetensors"))[-1]
    best = out / "checkpoints/best.safetensors"
    files = [last, best, out / "model/model.safetensors", out / "model/config.json", out / "metrics.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kills_change_nothing(name: str, root: Path, fork_server: ForkServer, tmp_path: Path):
    plan = write_plan(root, name)
    ended = fork_server.run(_KILL, tmp_path / "killed", 0, *_PLACES, f"--plan={plan}", "--leave").stdout.splitlines()
    assert ended == [f"{place} signal 9" for place in _PLACES]
    fork_server.run(_SPREAD, plan, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(whole(root, name, fork_server))


def lines(folder: Path, kind: str) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("kind", "model")} for line in found if line["kind"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaze", "xcl_gaze"])
def test_two_processes_do_what_one_does(name: str, root: Path, fork_server: ForkServer):
    alone, two = whole(root, name, fork_server), root / f"{name}-two"
    fork_server.run(_SPREAD, write_plan(root, name), two, processes=2)
    first, second = (torch.load(two / f"held-{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first["student"][key], second["student"][key]) for key in first["student"])
    for kind, count in (("train", 9), ("eval", 3)):
        both = [lines(folder, kind) for folder in (alone, two)]
        assert len(both[0]) == len(both[1]) == count
        for one, other in zip(*both, strict=True):
            assert other == pytest.approx(one, rel=1e-5 if one["step"] <= 2 else 1e-3, abs=1e-5)
