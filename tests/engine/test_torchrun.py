"""``torchrun … -m kdzoo train``, as docs/runs.md has it: two real processes, one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transfer_trees import class_folders

from kdzoo.base.run_documents import read_lines
from kdzoo.zoo import load_model

pytestmark = pytest.mark.slow


def torchrun(folder: Path, launch: str, more: str) -> subprocess.Popen[str]:
    """A training of two processes, as a user starts it."""
    beside = shutil.which("torchrun", path=os.path.dirname(sys.executable))
    program = [beside] if beside else [sys.executable, "-m", "torch.distributed.run"]  # what torchrun runs
    command = f"--standalone --nproc-per-node 2 {launch} -m kdzoo train --model cifar_resnet8 --data data"
    shared = "--image-size 16 --batch-size 6 --workers 0 --device cpu"
    return subprocess.Popen(
        [*program, *command.split(), *shared.split(), *more.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )


def test_torchrun_trains_in_two_processes_as_typed(tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    running = torchrun(tmp_path, "", "--epochs 1 --out run --json")
    out, errors = running.communicate(timeout=280)
    assert running.returncode == 0, errors[-3000:]
    document = json.loads(out)  # one document: the second process prints nothing
    assert document["steps"] == 18 // 6
    assert document["num_images"] == 9
    run = tmp_path / "run"
    assert len([line for line in read_lines(run / "metrics.jsonl")[0] if line["kind"] == "eval"]) == 1
    assert load_model(str(run)).num_classes == 3


def test_torchrun_starts_a_killed_run_again_to_the_same_bytes(tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    whole = torchrun(tmp_path, "", "--epochs 12 --out whole")
    whole.communicate(timeout=280)
    assert whole.returncode == 0
    running = torchrun(tmp_path, "--max-restarts 1", "--epochs 12 --out run --resume")
    until = time.monotonic() + 200
    while not any((tmp_path / "run/checkpoints").glob("step-*.safetensors")):
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, errors = running.communicate(timeout=280)
    assert running.returncode == 0, errors[-3000:]
    sessions = json.loads((tmp_path / "run/environment.json").read_text())
    assert len(sessions["sessions"]) == 2
    weights = [(tmp_path / name / "model/model.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
