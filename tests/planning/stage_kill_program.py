"""Runs a small staged run whose process is killed at one place after another, each time in a new process.

    python stage_kill_program.py DATA TEACHER OUT [PLACE ...]

A place is ``NAME:N``: SIGKILL comes at the N-th such moment of that process. The last process is not killed. Prints one
line a process: the place and how it ended.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from staged import staged_plan

import kdzoo.engine.evaluate as evaluation
import kdzoo.engine.loop as loop
import kdzoo.planning.stages as stages
from kdzoo.planning.run import run

_PLACES = {
    "step": (loop, "run_phases"),  # inside an epoch
    "evaluation": (evaluation, "_count"),
    "export": (loop, "save_model"),
    "result": (loop, "write_json"),  # the model is there, the result is not
    "between": (stages, "model_digest"),  # a stage is finished, its line in stages.json is not written
    "last": (stages, "_finish"),
}


def arm(place: str) -> None:
    """Arrange that this process dies at ``place``."""
    name, _, count = place.partition(":")
    module, function = _PLACES[name]
    real, left = getattr(module, function), [int(count)]

    def wrapped(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(module, function, wrapped)


def main() -> None:
    """Kill at each place in turn, then run to the end."""
    data, teacher, out, *places = sys.argv[1:]
    for place in [*places, None]:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if place is not None:
                    arm(place)
                run(staged_plan(Path(data), teacher), out=out, resume=True, trust_teacher=True)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        print(f"{place or 'end'} {how}", flush=True)


if __name__ == "__main__":
    main()
