"""``torchrun … -m kdzoo train``, as docs/runs.md has it: two real processes, one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transfer_trees import class_folders

from kdzoo.base.run_documents import read_lines
from kdzoo.zoo import load_model

pytestmark = pytest.mark.slow


def test_torchrun_trains_in_two_processes_as_typed(tmp_path: Path) -> None:
    beside = shutil.which("torchrun", path=os.path.dirname(sys.executable))
    torchrun = [beside] if beside else [sys.executable, "-m", "torch.distributed.run"]  # what torchrun runs
    data = class_folders(tmp_path / "data")
    command = f"--standalone --nproc-per-node 2 -m kdzoo train --model cifar_resnet8 --data {data} --epochs 1"
    more = "--image-size 16 --batch-size 6 --workers 0 --device cpu --out run --json"
    done = subprocess.run(
        [*torchrun, *command.split(), *more.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)  # one document: the second process prints nothing
    assert document["steps"] == 18 // 6
    assert document["num_images"] == 9
    run = tmp_path / "run"
    assert len([line for line in read_lines(run / "metrics.jsonl")[0] if line["kind"] == "eval"]) == 1
    assert load_model(str(run)).num_classes == 3
