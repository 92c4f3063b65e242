"""Evaluates a model again and again, each time in a process (or two) of its own that may be killed on the way.

    python evaluation_program.py MODEL DATA FOLDER LIFE…

A life is ``NAME:PROCESSES:PLACE``: the results go into FOLDER/NAME; at the PLACE-th batch of the last process SIGKILL
comes (``t3``: SIGTERM at the third; 0: nothing). Prints one line a life: how each process ended, and how many batches
each looked at.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import kdzoo
from kdzoo.base.errors import Interrupted
from kdzoo.data import open_source
from kdzoo.evaluation.classification import one_pass
from kdzoo.evaluation.results import describe_model
from kdzoo.zoo import load_model

one_pass.KEEP_EVERY = 2


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def count_batches(path: Path, place: str) -> None:
    """Write a line a batch, and die where it is asked for."""
    number = signal.SIGTERM if place.startswith("t") else signal.SIGKILL
    last, state = int(place.removeprefix("t")), {"seen": 0}
    real = one_pass.OnePass._answers

    def wrapped(self: one_pass.OnePass, batch: Any) -> Any:
        state["seen"] += 1
        path.write_text(str(state["seen"]))
        if state["seen"] == last:
            os.kill(os.getpid(), number)
        return real(self, batch)

    one_pass.OnePass._answers = wrapped  # type: ignore[method-assign]


def live(model: str, data: str, folder: Path, processes: int, place: str) -> str:
    """One life; every process is forked from this one, which has run no model."""
    port, children, counts = free_port(), [], []
    for rank in range(processes):
        counts.append(folder.parent / f"{folder.name}-{rank}.count")
        counts[-1].write_text("0")
        child = os.fork()
        if child == 0:
            if processes > 1:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
            count_batches(counts[-1], place if rank == processes - 1 else "0")
            code = 1
            try:
                kdzoo.evaluate(
                    model,
                    data,
                    teacher=model,
                    batch_size=50,
                    workers=0,
                    device="cpu",
                    image_size=(8, 12),
                    results=folder,
                    save=True,
                )
                code = 0
            except Interrupted:
                code = 130
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    ends: list[str] = []
    for child in reversed(children):  # the last one is the one that may be killed; the others then wait in vain
        if ends and ends[0] != "exit 0":
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status)
        ends.append(f"signal {os.WTERMSIG(status)}" if killed else f"exit {os.WEXITSTATUS(status)}")
    return f"{folder.name}: {', '.join(reversed(ends))}; {' '.join(path.read_text() for path in counts)}"


def main() -> None:
    """All lives in turn."""
    model, data, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    # What takes long to import is imported once, here: every life inherits it.
    open_source(data, "val")
    describe_model(load_model(model))
    for life in sys.argv[4:]:
        name, processes, place = life.split(":")
        print(live(model, data, folder / name, int(processes), place), flush=True)


if __name__ == "__main__":
    main()
