"""Two processes train together as under torchrun; the second kills itself at its second step. Then both go on.

    python killed_rank.py DATA OUT

Prints how both ended, the first one's words between two lines of dashes, and how both ended when they went on.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import kdzoo.engine.loop as loop
from kdzoo.cli.main import main as kdzoo


def live(command: list[str], *, kill: bool) -> tuple[list[int], str]:
    """Exit codes of both processes, negative for signals, and what the first said on standard error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.NamedTemporaryFile() as said:
        children = []
        for rank in range(2):
            child = os.fork()
            if child == 0:
                shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                os.environ.update({**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
                if rank == 0:
                    os.dup2(said.fileno(), 2)
                if rank == 1 and kill:
                    die_at_second_step()
                torch.set_num_threads(1)
                code = 1
                try:
                    code = kdzoo(command)
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        return codes, Path(said.name).read_text(errors="replace")


def die_at_second_step() -> None:
    """Arrange that this process kills itself."""
    real, left = loop.run_phases, [2]

    def counted(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    loop.run_phases = counted


def main() -> None:
    data, out = sys.argv[1:]
    command = ["train", "--model", "cifar_resnet8", "--data", data, "--epochs", "2", "--batch-size", "8"]
    command += ["--image-size", "16", "--workers", "0", "--device", "cpu", "--out", out]
    codes, said = live(command, kill=True)
    print(codes, "-----", said, "-----", sep="\n")
    print(live([*command, "--resume"], kill=False)[0], flush=True)


main()
