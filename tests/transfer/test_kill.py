"""A killed fine-tuning goes on and ends with the same bytes. A real process, a real SIGKILL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transfer_trees import class_folders

_PROGRAM = Path(__file__).with_name("kill_program.py")


def _run(task: Path, backbone: str, out: Path, *steps: str) -> list[str]:
    answer = subprocess.run(
        [sys.executable, str(_PROGRAM), str(task), backbone, str(out), *steps],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout.splitlines()


def _bytes(out: Path) -> dict[str, bytes]:
    patterns = ("runs/*/model/model.safetensors", "runs/*/metrics.jsonl", "results/*", "transfer.json")
    return {str(path.relative_to(out)): path.read_bytes() for pattern in patterns for path in sorted(out.glob(pattern))}


@pytest.mark.numeric
@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path, make_backbone: Callable[..., str]) -> None:
    """Six steps a seed: in the first epoch of the first, after it, and in the second seed."""
    task, backbone, out = class_folders(tmp_path / "data"), make_backbone("a"), tmp_path / "out"
    assert _run(task, backbone, out) == ["exit 0"]
    undisturbed = _bytes(out)
    assert len([name for name in undisturbed if name.startswith("runs/")]) == 4
    out.rename(tmp_path / "undisturbed")
    assert _run(task, backbone, out, "2", "4", "6") == ["signal 9", "signal 9", "signal 9", "exit 0"]
    assert _bytes(out) == undisturbed
