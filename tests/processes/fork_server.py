"""A process that has imported torch, timm and kdzoo once, and forks a process for each program that it is asked to run.

Importing takes seconds, forking milliseconds. It has run no model and has one thread, so that what it forks is as good
as new; SIGKILL hits the forked process. Tests use it as the fixture ``fork_server``.

Run as a program it reads requests from its standard input, a JSON object a line: ``program``, ``arguments``,
``environments`` (one process for each), ``output`` (a folder) and ``timeout``; it answers each with the list of exit
codes, negative for signals.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_S = 0.01


@dataclass(frozen=True)
class Outcome:
    """How the processes of one program ended.

    Attributes:
        returncodes: Of each process; negative for signals.
        stdout: Of the first.
        stderr: Of all, in order.
    """

    returncodes: tuple[int, ...]
    stdout: str
    stderr: str


class ForkServer:
    """Starts with the first program, ends with ``close``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, program: Path, *arguments: object, processes: int | None = None, timeout: float = 300, check: bool = True
    ) -> Outcome:
        """Run a program to its end.

        Args:
            program: A Python file.
            arguments: Of its command line.
            processes: How many, with the environment that torchrun would give them; None for one without it.
            timeout: Seconds; whatever still runs then is killed.
            check: Whether every process has to end with 0.
        """
        with tempfile.TemporaryDirectory() as folder:
            request = {
                "program": str(program),
                "arguments": [str(argument) for argument in arguments],
                "environments": [{}] if processes is None else _as_torchrun(processes),
                "output": folder,
                "timeout": timeout,
            }
            codes = self._ask(request)
            texts = [
                Path(folder, f"{rank}.{name}").read_text() for name in ("out", "err") for rank in range(len(codes))
            ]
        outcome = Outcome(tuple(codes), texts[0], "\n".join(texts[len(codes) :]))
        assert not check or not any(codes), f"{program} ended with {codes}:\n{outcome.stderr[-3000:]}"
        return outcome

    def _ask(self, request: dict[str, Any]) -> list[int]:
        if self._process is None:
            environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the fork server died: {self._process.poll()}"
        return list(json.loads(answer))

    def close(self) -> None:
        """End the server."""
        if self._process is not None:
            with self._process as process:
                process.communicate()


def _as_torchrun(processes: int) -> list[dict[str, str]]:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = ({"RANK": rank, "LOCAL_RANK": rank} for rank in range(processes))
    return [{name: str(value) for name, value in {**shared, **own}.items()} for own in ranks]


def _preload() -> None:
    """Everything that a run imports sooner or later."""
    from importlib import import_module

    from kdzoo.data import open_source
    from kdzoo.recipes.registry import get_recipe, recipe_names

    for module in ("timm", "torchvision", "torch.distributed", "kdzoo.recipes.run"):
        import_module(module)
    for name in recipe_names():
        get_recipe(name)
    open_source("digits", "val")  # imports scikit-learn
    tasks = Path("/proc/self/task")
    assert not tasks.is_dir() or len(list(tasks.iterdir())) == 1, "a process with threads cannot be forked"


def _fork(request: dict[str, Any], rank: int) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    code = 1
    try:
        os.environ.update(request["environments"][rank])
        for name, number in (("out", 1), ("err", 2)):
            opened = os.open(f"{request['output']}/{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        program = request["program"]
        sys.argv = [program, *request["arguments"]]
        sys.path.insert(0, os.path.dirname(program))
        try:
            runpy.run_path(program, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(children: Sequence[int], timeout: float) -> list[int]:
    codes: dict[int, int] = {}
    deadline = time.monotonic() + timeout
    while len(codes) < len(children):
        for child in children:
            if child in codes:
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes[child] = os.waitstatus_to_exitcode(status)
        # A process that waits for one that failed would wait for long.
        if time.monotonic() > deadline or (len(children) > 1 and any(codes.values())):
            for child in set(children) - set(codes):
                os.killpg(child, signal.SIGKILL)
                codes[child] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(_POLL_S)
    return [codes[child] for child in children]


def serve() -> None:
    """Answer requests until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed here by mistake is no answer
    _preload()
    for line in sys.stdin:
        request = json.loads(line)
        children = [_fork(request, rank) for rank in range(len(request["environments"]))]
        answers.write(json.dumps(_wait(children, request["timeout"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
