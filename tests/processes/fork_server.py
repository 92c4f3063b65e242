"""A process that has imported torch, timm and kdzoo once, and forks a process for each program that it is asked to run.

Importing takes seconds, forking milliseconds. It has run no model and has one thread, so that what it forks is as good
as new; SIGKILL hits the forked process. Tests use it as the fixture ``fork_server``.

Run as a program it reads requests from its standard input, a JSON object a line. One that starts processes has
``program``, ``arguments``, ``environment``, ``environments`` (a process for each), ``cwd`` and ``output``, and is
answered with their ids; one that waits has ``wait`` (ids) and ``timeout``, and is answered with exit codes, negative
for signals. What nobody waited for is killed at the end.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Running:
    """The processes of one program; each leads a group of its own."""

    server: ForkServer
    program: Path
    pids: list[int]
    output: tempfile.TemporaryDirectory[str]
    _lines_read: int = field(default=0, init=False)

    def readline(self, timeout: float = 60) -> str:
        """The next line that the first process prints."""
        deadline = time.monotonic() + timeout
        while True:
            lines = Path(self.output.name, "0.out").read_text().splitlines(keepends=True)[self._lines_read :]
            if lines and lines[0].endswith("\n"):
                self._lines_read += 1
                return lines[0]
            assert time.monotonic() < deadline, f"{self.program} prints nothing"
            time.sleep(_POLL_S)

    def wait(self, timeout: float = 300, check: bool = True) -> Outcome:
        """Wait for all to end.

        Args:
            timeout: Seconds; whatever still runs then is killed.
            check: Whether every process has to end with 0.
        """
        codes = self.server.ask({"wait": self.pids, "timeout": timeout})
        with self.output as folder:
            texts = [
                Path(folder, f"{rank}.{name}").read_text() for name in ("out", "err") for rank in range(len(codes))
            ]
        outcome = Outcome(tuple(codes), texts[0], "\n".join(texts[len(codes) :]))
        assert not check or not any(codes), f"{self.program} ended with {codes}:\n{outcome.stderr[-3000:]}"
        return outcome


class ForkServer:
    """Starts with the first program, ends with ``close``.

    Args:
        preload: ``kdzoo``, with everything that a run needs; or ``torch`` alone, for programs that import timm, kdzoo
            and the Hub's client themselves because these read the environment.
    """

    def __init__(self, preload: str = "kdzoo") -> None:
        self._preload = preload
        self._process: subprocess.Popen[str] | None = None

    def start(
        self,
        program: Path,
        *arguments: object,
        processes: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Start a program.

        Args:
            program: A Python file.
            arguments: Of its command line.
            processes: How many, with the environment that torchrun would give them; None for one without it.
            environment: The whole of it; by default this process's as it was when the server started.
        """
        output = tempfile.TemporaryDirectory()
        request = {
            "program": str(program),
            "arguments": [str(argument) for argument in arguments],
            "environments": [{}] if processes is None else _as_torchrun(processes),
            "environment": environment,
            "cwd": os.getcwd(),
            "output": output.name,
        }
        for rank in range(processes or 1):
            Path(output.name, f"{rank}.out").touch()
        return Running(self, program, self.ask(request), output)

    def run(self, program: Path, *arguments: object, timeout: float = 300, check: bool = True, **how: Any) -> Outcome:
        """Run a program to its end; see `start` and `Running.wait`."""
        return self.start(program, *arguments, **how).wait(timeout, check)

    def ask(self, request: dict[str, Any]) -> list[int]:
        """Send a request to the server."""
        if self._process is None:
            environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
            self._process = subprocess.Popen(
                [sys.executable, __file__, self._preload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
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


def _import_torch() -> None:
    """What takes long and reads nothing of the environment that a test would change."""
    import torchvision  # noqa: F401

    assert not {"timm", "kdzoo", "huggingface_hub"} & sys.modules.keys()


def _import_kdzoo() -> None:
    """Everything that a run imports sooner or later."""
    from importlib import import_module

    from kdzoo.data import open_source
    from kdzoo.recipes.registry import get_recipe, recipe_names

    for module in ("timm", "torchvision", "torch.distributed", "kdzoo.planning.run"):
        import_module(module)
    for name in recipe_names():
        get_recipe(name)
    open_source("digits", "val")  # imports scikit-learn


def _preload() -> None:
    {"torch": _import_torch, "kdzoo": _import_kdzoo}[sys.argv[1]]()
    tasks = Path("/proc/self/task")
    assert not tasks.is_dir() or len(list(tasks.iterdir())) == 1, "a process with threads cannot be forked"


def _fork(request: dict[str, Any], rank: int, answers: int) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.close(answers)
    code = 1
    try:
        if request["environment"] is not None:
            os.environ.clear()
            os.environ.update(request["environment"])
        os.environ.update(request["environments"][rank])
        for name, number in (("out", 1), ("err", 2)):
            opened = os.open(f"{request['output']}/{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        program = request["program"]
        os.chdir(request["cwd"])
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
    running: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = _wait(request["wait"], request["timeout"])
            running -= set(request["wait"])
        else:
            answer = [_fork(request, rank, answers.fileno()) for rank in range(len(request["environments"]))]
            running |= set(answer)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for child in running:
        os.killpg(child, signal.SIGKILL)


if __name__ == "__main__":
    serve()
