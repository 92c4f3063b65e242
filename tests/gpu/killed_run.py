"""Begins or goes on with a plan's run in this process, which is killed before one of its steps.

python killed_run.py OUT STEP < plan.json      # STEP 0: not killed
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import kdzoo.engine.loop as loop
from kdzoo.base.settings import Given
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run


def kill_before(step: int) -> None:
    """Arrange for SIGKILL before the phases of a step, counted from 1, run."""
    real = loop.run_phases

    def run_phases(phases: Any, objective: Any, parts: Any, *args: Any, **more: Any) -> Any:
        if parts[0].step + 1 == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(phases, objective, parts, *args, **more)

    loop.run_phases = run_phases


def main(out: str, step: int) -> None:
    """Read the plan, arm the kill, run."""
    document = json.load(sys.stdin)
    if step:
        kill_before(step)
    given = {path: Given(value, "test") for path, value in document["given"].items()}
    run(resolve(document["recipe"], given=given, variants=tuple(document["variants"])), out=out, resume=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
