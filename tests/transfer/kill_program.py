"""A fine-tuning of two seeds whose process is killed, each time in a new process, then left to end.

    python kill_program.py TASK BACKBONE OUT [STEP ...]

SIGKILL comes before the STEP-th step of a process. Prints one line a process: how it ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import kdzoo.engine.loop as loop
from kdzoo.transfer.classification.measure import run_transfer
from kdzoo.transfer.classification.plan import TransferRequest, make_plan


def die_before_step(number: int) -> None:
    """Arrange that this process kills itself."""
    real, left = loop.run_phases, [number]

    def counted(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    loop.run_phases = counted


def live(task: str, backbone: str, out: Path, step: int | None) -> int:
    """One process's life; returns how it ended, as from waitpid."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if step is not None:
                die_before_step(step)
            given = {"epochs": 3, "batch_size": 8, "image_size": 32}
            request = TransferRequest(
                task=task,
                backbone=backbone,
                seeds=(0, 1),
                given={name: (value, "test") for name, value in given.items()},
                workers=0,
                device="cpu",
            )
            plan = make_plan(request)
            run_transfer(plan, out=out, resume=True)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Kill before each step in turn, then run to the end."""
    task, backbone, out, *steps = sys.argv[1:]
    for step in [*map(int, steps), None]:
        status = live(task, backbone, Path(out), step)
        print(
            f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}", flush=True
        )


if __name__ == "__main__":
    main()
