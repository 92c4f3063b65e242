"""One of the processes of a recipe's run; afterwards each stores what it holds.

    python spread_program.py PLAN OUT

PLAN is a JSON file as for ``tests/engine/kill_program.py``, OUT the run folder. Into it each process writes
``held-RANK.pt``: the weights of the student, the objective's state and the teachers' digests, of the last stage where
there are several. Alone, or in the environment that torchrun gives.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

import kdzoo.planning.run as runs
from kdzoo.base.settings import Given
from kdzoo.engine.job import TrainJob
from kdzoo.planning.resolution import resolve


def main(plan_file: Path, out: Path) -> None:
    """Run the plan and store what this process holds."""
    document = json.loads(plan_file.read_text())
    given = {path: Given(value, "test") for path, value in document["given"].items()}
    plan = resolve(document["recipe"], given=given, variants=tuple(document["variants"]))
    jobs: list[TrainJob] = []
    build = runs.build_job

    def keep(*arguments: Any, **options: Any) -> TrainJob:
        jobs.append(build(*arguments, **options))
        return jobs[-1]

    runs.build_job = keep
    runs.run(plan, out=out, resume=True, trust_teacher=True)
    job = jobs[-1]
    digests = [] if job.teachers is None else list(job.teachers.digest())
    held = {"student": job.student.model.state_dict(), "objective": job.objective.state_dict(), "teachers": digests}
    torch.save(held, out / f"held-{os.environ.get('RANK', 0)}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
