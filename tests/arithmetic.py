"""Runs the tests marked ``numeric`` as other processors would compute: python tests/arithmetic.py [PYTEST ARGUMENTS]

Torch and oneDNN choose their code by what the processor can do, and sums come out in another order by the number of
threads; each setting here restricts that. Prints a line a setting. ``-n 2`` runs two tests at once, whose threads sleep
while they wait, so that they do not take the cores from one another; files may be named.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

_TORCH = ("default", "avx2")
_ONEDNN = ("SSE41", "AVX2")
_THREADS = ("1", "2")


def main(arguments: list[str]) -> int:
    """Run the tests under each setting; returns how many settings have a failure."""
    failed, rows = 0, []
    for torch_code, onednn_code, threads in itertools.product(_TORCH, _ONEDNN, _THREADS):
        setting = {
            "ATEN_CPU_CAPABILITY": torch_code,
            "ONEDNN_MAX_CPU_ISA": onednn_code,
            "OMP_NUM_THREADS": threads,
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        name = " ".join(f"{key}={value}" for key, value in setting.items() if key != "OMP_WAIT_POLICY")
        print(f"== {name}", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-m", "numeric", *arguments]
        code = subprocess.run(command, env={**os.environ, **setting}, check=False).returncode
        failed += code != 0
        rows.append(f"{name:<72} {'passed' if code == 0 else 'FAILED'} {time.monotonic() - began:6.0f} s")
    print("", *rows, f"{len(rows) - failed} of {len(rows)} settings passed", sep="\n")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
