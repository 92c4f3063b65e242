"""One process and two see the same images, the same views and the same mixed pixels, in the same order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from fork_server import ForkServer

_PROGRAM = Path(__file__).with_name("world_size_program.py")
_TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def _run_in_two(folder: Path) -> None:
    folder.mkdir()
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    answer = subprocess.run(
        [sys.executable, *_TORCHRUN, str(_PROGRAM), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]


def test_two_processes_see_what_one_sees(tmp_path: Path, fork_server: ForkServer) -> None:
    (tmp_path / "one").mkdir()
    fork_server.run(_PROGRAM, tmp_path / "one")
    _run_in_two(tmp_path / "two")
    alone = json.loads((tmp_path / "one/seen-0.json").read_text())
    halves = [json.loads((tmp_path / f"two/seen-{rank}.json").read_text()) for rank in (0, 1)]
    assert len(alone["seen"]) == 9
    joined = [first + second for first, second in zip(halves[0]["seen"], halves[1]["seen"], strict=True)]
    assert joined == alone["seen"]
    assert alone["num_images"] == halves[0]["num_images"] == 360
