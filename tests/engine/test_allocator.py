"""Memory is kept when it is freed where a device is chosen, and not where the user says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fork_server import ForkServer

_PROGRAM = """
import resource
from threading import Thread

import torch

from kdzoo.engine.allocator import keep_freed_memory
from kdzoo.engine.distributed import choose_device

def fill(mebibytes):
    torch.empty(mebibytes * 2**20, dtype=torch.uint8).fill_(1)

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill(40)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

choose_device("cpu")
fill(60)  # larger than what follows: an aligned block asks for a little more than the one of its size that was freed
print(count_faults(), *keep_freed_memory())
thread = Thread(target=fill, args=(100,))  # has a heap of its own, too small for this
thread.start()
thread.join()
"""


def _run(server: ForkServer, folder: Path, **variables: str) -> tuple[int, str]:
    """Pages that were faulted in for 40 MiB that had been freed before, and what kdzoo says of it."""
    program = folder / "program.py"
    program.write_text(_PROGRAM)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    faults, said = server.run(program, environment=environment).stdout.strip().split(" ", 1)
    return int(faults), said


def test_freed_memory_is_kept_unless_the_user_says_no(torch_server: ForkServer, tmp_path: Path) -> None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        pytest.skip("needs glibc")
    faults, said = _run(torch_server, tmp_path, KDZOO_KEEP_MEMORY="")
    assert said.startswith("True glibc ")
    assert faults < 1_000
    faults, said = _run(torch_server, tmp_path, KDZOO_KEEP_MEMORY="0")
    assert said == "False KDZOO_KEEP_MEMORY=0"
    assert faults > 40 * 2**20 // os.sysconf("SC_PAGE_SIZE") // 2
