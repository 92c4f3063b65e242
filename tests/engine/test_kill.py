"""A killed and resumed run ends with the same bytes as one that was left alone. Real processes, real signals.

Each kill hits a process that was forked for it; what goes on after the last kill, and the run that is left alone, are
new processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fork_server import ForkServer

from kdzoo.base.run_documents import read_lines

pytestmark = [pytest.mark.slow, pytest.mark.numeric]

_PROGRAM = Path(__file__).with_name("kill_program.py")

# Twenty places spread over the run's life: 32 steps, 4 evaluations of 6 batches (student and average), 12 checkpoints.
_PLACES = (
    "step:1",
    "between_phases:2",
    "checkpoint_half_written:1",
    "step:5",
    "before_digest:1",
    "inside_a_log_line:3",
    "between_phases:3",
    "before_best:1",
    "evaluation:2",
    "step:2",
    "checkpoint_half_written:2",
    "inside_a_log_line:1",
    "before_digest:2",
    "step:4",
    "evaluation:5",
    "between_phases:1",
    "before_best:1",
    "step:3",
    "evaluation:1",
    "export:1",
)


def _run(out: Path, workers: int) -> None:
    """Begin a run, or go on with it, in a new process; to its end."""
    answer = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:kdzoo", str(_PROGRAM), str(out), str(workers)],
        capture_output=True,
        text=True,
        timeout=550,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as many threads as what is forked has
    )
    assert (answer.returncode, answer.stdout) == (0, "end exit 0\n"), answer.stderr[-3000:]


def _kill(server: ForkServer, out: Path, workers: int, *places: str) -> list[str]:
    """How the run's processes ended, one at each place."""
    outcome = server.run(_PROGRAM, out, workers, *places, "--leave", timeout=550)
    print(outcome.stderr[-3000:])  # shown where a test fails
    return outcome.stdout.splitlines()


def _bytes(out: Path) -> dict[str, bytes]:
    """The files that must not depend on kills: states (student, average, optimisers, objective), model, metrics."""
    files = [
        *sorted((out / "checkpoints").glob("*.safetensors")),
        out / "model/model.safetensors",
        out / "metrics.jsonl",
        out / "metrics.csv",
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    _run(out, 0)
    return out


def _assert_same(killed: Path, undisturbed: Path) -> None:
    assert _bytes(killed) == _bytes(undisturbed)
    assert not list((killed / "checkpoints").glob(".*.tmp"))


@pytest.mark.parametrize(("workers", "places"), [(0, _PLACES), (2, _PLACES[1::2])], ids=["0", "2"])
def test_kills_change_nothing(
    undisturbed: Path, tmp_path: Path, fork_server: ForkServer, workers: int, places: tuple[str, ...]
) -> None:
    ends = _kill(fork_server, tmp_path / "run", workers, *places)
    assert ends == [f"{place} signal 9" for place in places]
    _run(tmp_path / "run", workers)
    _assert_same(tmp_path / "run", undisturbed)


def test_sigterm_loses_no_finished_step(undisturbed: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    out = tmp_path / "run"
    assert _kill(fork_server, out, 0, "--term", "step:5", "evaluation:2", "step:3") == [
        "step:5 exit 130",
        "evaluation:2 exit 130",
        "step:3 exit 130",
    ]
    _run(out, 0)
    _assert_same(out, undisturbed)


def test_the_log_of_the_undisturbed_run_is_complete(undisturbed: Path) -> None:
    lines = read_lines(undisturbed / "metrics.jsonl")[0]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(2, 33, 2))
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [8, 8, 16, 16, 24, 24, 32, 32]
