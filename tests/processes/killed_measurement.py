"""``kdzoo transfer``, each time in a process of its own, ended by signals while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kdzoo.cli.main import main

_KDZOO = (sys.executable, "-P", "-m", "kdzoo")


def assert_signals_change_nothing(arguments: Sequence[str], files: Sequence[str]) -> None:
    """A run that SIGKILL or SIGTERM ended and ``--resume`` took up again has the bytes of one that was left alone.

    Args:
        arguments: Of a command with one side and one seed that saves a checkpoint after two steps and goes on after it.
        files: In the run's folder, to be compared.
    """
    _run([*arguments, "--out", "whole"])
    for how, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        out = Path(f"cut-{how.name}")
        process = subprocess.Popen(
            [*_KDZOO, *arguments, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        _wait_for(out / "backbone-seed0" / "checkpoints" / "step-000000002.sha256", process)
        process.send_signal(how)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == code
        assert how is signal.SIGKILL or "--resume" in said
        assert not (out / "backbone-seed0" / "result.json").exists()
        _run([*arguments, "--out", str(out), "--resume"])
        for name in files:
            assert (out / "backbone-seed0" / name).read_bytes() == (Path("whole/backbone-seed0") / name).read_bytes()
    assert main([*arguments, "--out", "whole", "--resume", "--lr", "0.5"]) == 1


def run_two_processes(arguments: Sequence[str]) -> str:
    """What a command run by torchrun in two processes prints."""
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "kdzoo", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(arguments: Sequence[str]) -> None:
    """In a process in which nothing has run yet: what a library does at its first call, it does here, too."""
    done = subprocess.run([*_KDZOO, *arguments], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
