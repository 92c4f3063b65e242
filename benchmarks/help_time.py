"""How long the command line takes to answer: the median of several fresh processes for every help.

python benchmarks/help_time.py [REPEATS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from kdzoo.cli.reference import verbs


def measure(command: list[str]) -> tuple[float, float]:
    """Wall time and processor time of one process, in seconds; the latter says less of what else the machine does."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    return wall, (after.children_user + after.children_system) - (before.children_user + before.children_system)


def medians(command: list[str], repeats: int) -> tuple[float, float]:
    """Medians of wall time and processor time."""
    wall, processor = zip(*(measure(command) for _ in range(repeats)), strict=True)
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    """Measure and print a table, the slowest last."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    script = str(Path(sys.executable).with_name("kdzoo"))
    rows = [(*medians([sys.executable, "-c", "pass"], repeats), "python -c pass")]
    for verb in verbs():
        command = [script, *verb.split(), "--help"]
        rows.append((*medians(command, repeats), " ".join(["kdzoo", *command[1:]])))
    print(f"median of {repeats}: wall time, processor time")
    for wall, processor, name in sorted(rows):
        print(f"{name:<30} {wall:.3f} s  {processor:.3f} s")


if __name__ == "__main__":
    main()
