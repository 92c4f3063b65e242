"""Two processes on one accelerator: where one is named for both they share it, otherwise they are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transfer_trees import class_folders

from .conftest import DEVICE, ON_CUDA

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]


def train(folder: Path, device: str) -> subprocess.CompletedProcess[str]:
    """Train in two processes under torchrun."""
    data = class_folders(folder / "data")
    command = f"--standalone --nproc-per-node 2 -m kdzoo train --model cifar_resnet8 --data {data} --epochs 1"
    more = f"--image-size 16 --batch-size 6 --workers 0 --device {device} --out run --json"
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command.split(), *more.split()],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        timeout=280,
    )


@pytest.mark.slow
def test_they_share_a_device_that_is_named(tmp_path: Path) -> None:
    done = train(tmp_path, f"{DEVICE.type}:0" if ON_CUDA else "cpu")
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    assert (document["steps"], document["num_images"]) == (18 // 6, 9)


@pytest.mark.slow
@pytest.mark.usefixtures("_needs_cuda")
def test_each_takes_its_own_where_none_is_named(tmp_path: Path) -> None:
    done = train(tmp_path, "cuda")
    if torch.cuda.device_count() > 1:
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout)["steps"] == 18 // 6
    else:
        assert done.returncode != 0
        assert "2 processes were started here, and torch sees 1 CUDA devices" in done.stderr
        assert "Traceback" not in done.stderr.partition("2 processes were started")[2].partition("torch.distributed")[0]
