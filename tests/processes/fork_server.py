"""A process that has imported torch, timm and kdzoo once, and forks a process for each program that it is asked to run.

Importing takes seconds, forking milliseconds. It has run no model and has one thread, so that what it forks is as good
as new; SIGKILL hits the forked process. Tests use it as the fixture ``fork_server``; a test run has one, whose clients
are its workers. What it forks computes with one thread, because a program of the tests may fork again.

Run as a program it listens at a socket for requests, a JSON object a line. One that starts processes has ``program``,
``arguments``, ``environment``, ``environments`` (a process for each), ``cwd`` and ``output``, and is answered with
their ids; one that waits has ``wait`` (ids) and ``timeout``, and is answered with exit codes, negative for signals.
What a client did not wait for is killed when it leaves; the server ends with its last client.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
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
    """Connects to the test run's server with the first program, starts it where there is none yet; ends with ``close``.

    Args:
        preload: ``kdzoo``, with everything that a run needs; or ``torch`` alone, for programs that import timm, kdzoo
            and the Hub's client themselves because these read the environment.
    """

    def __init__(self, preload: str = "kdzoo") -> None:
        self._preload = preload
        self._connection: socket.socket | None = None
        self._environment: dict[str, str] = {}

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
            environment: The whole of it; by default this process's as it was at the first program.
        """
        output = tempfile.TemporaryDirectory()
        request = {
            "program": str(program),
            "arguments": [str(argument) for argument in arguments],
            "environments": [{}] if processes is None else _as_torchrun(processes),
            "environment": environment and dict(environment),
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
        if self._connection is None:
            self._environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
            self._connection = self._connect()
        if "environment" in request:
            request["environment"] = request["environment"] or self._environment
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        answer = _read_line(self._connection)
        assert answer, "the fork server died"
        return list(json.loads(answer))

    def _connect(self) -> socket.socket:
        """A connection to the server, which the first worker to come starts."""
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        path = Path(tempfile.gettempdir(), f"kdzoo-fork-{run[:12]}-{self._preload}")
        with Path(f"{path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            connection = _try_to_connect(path)
            if connection is None:
                command = [sys.executable, __file__, self._preload, str(path)]
                server = os.posix_spawn(sys.executable, command, self._environment)
                while (connection := _try_to_connect(path)) is None:
                    assert os.waitpid(server, os.WNOHANG) == (0, 0), "the fork server did not start"
                    time.sleep(_POLL_S)
        return connection

    def close(self) -> None:
        """Leave the server, which kills what is still running of this client."""
        if self._connection is not None:
            self._connection.close()


def _try_to_connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _read_line(connection: socket.socket) -> bytes:
    """A line without its end; empty where the other side has left. Each side sends one line and waits."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            return b""
        line += part
    return line


def _as_torchrun(processes: int) -> list[dict[str, str]]:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = ({"RANK": rank, "LOCAL_RANK": rank} for rank in range(processes))
    return [{name: str(value) for name, value in {**shared, **own}.items()} for own in ranks]


def _import_torch() -> None:
    """What takes long and reads nothing of the environment that a test would change."""
    for module in (
        "torchvision",
        "safetensors.torch",
        "yaml",
        "jinja2",
        "filelock",
        "tqdm",
        "anyio",
        "httpx2",
        "httpx",
    ):
        with contextlib.suppress(ImportError):  # the Hub's client has one of the last two
            import_module(module)
    assert not {"timm", "kdzoo", "huggingface_hub"} & sys.modules.keys()


def _import_kdzoo() -> None:
    """Everything that a run imports sooner or later."""
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


def _fork(request: dict[str, Any], rank: int, sockets: Sequence[socket.socket]) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    for one in sockets:
        one.close()
    code = 1
    try:
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


class _Waiting:
    """A client that waits for processes of its own."""

    def __init__(self, children: Sequence[int], timeout: float) -> None:
        self.children = children
        self.codes: dict[int, int] = {}
        self.deadline = time.monotonic() + timeout

    def answer(self) -> list[int] | None:
        """Their exit codes once all have ended. A process that waits for one that failed would wait for long."""
        for child in set(self.children) - set(self.codes):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self.codes[child] = os.waitstatus_to_exitcode(status)
        failed = len(self.children) > 1 and any(self.codes.values())
        if failed or time.monotonic() > self.deadline:
            for child in set(self.children) - set(self.codes):
                self.codes[child] = _kill(child)
        return [self.codes[child] for child in self.children] if len(self.codes) == len(self.children) else None


def _kill(child: int) -> int:
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve(path: str) -> None:
    """Answer requests until the last client has left."""
    _preload()
    listener = socket.socket(socket.AF_UNIX)
    Path(path).unlink(missing_ok=True)
    listener.bind(path)
    listener.listen()
    running: dict[socket.socket, set[int]] = {}
    waiting: dict[socket.socket, _Waiting] = {}
    while True:
        ready, _, _ = select.select([listener, *running], [], [], _POLL_S if waiting else None)
        for one in ready:
            if one is listener:
                running[listener.accept()[0]] = set()
                continue
            line = _read_line(one)
            if not line:
                for child in running.pop(one):
                    _kill(child)
                waiting.pop(one, None)
                one.close()
                if not running:
                    os.unlink(path)
                    os.unlink(f"{path}.lock")
                    return
                continue
            request = json.loads(line)
            if "wait" in request:
                waiting[one] = _Waiting(request["wait"], request["timeout"])
                continue
            sockets = [listener, *running]
            children = [_fork(request, rank, sockets) for rank in range(len(request["environments"]))]
            running[one] |= set(children)
            one.sendall(json.dumps(children).encode() + b"\n")
        for one, wait in list(waiting.items()):
            codes = wait.answer()
            if codes is not None:
                del waiting[one]
                running[one] -= set(wait.children)
                one.sendall(json.dumps(codes).encode() + b"\n")


if __name__ == "__main__":
    serve(sys.argv[2])
