"""A Hugging Face Hub on this machine, for tests: real HTTP, spoken to by the real ``huggingface_hub`` client.

It answers what the client asks when a model is published and loaded: repositories, card check, upload modes, commits,
LFS upload, branches, pull requests, listings, downloads with ranges and a redirect for LFS files, private repositories
and tokens, and the Hub's error codes. ``tests/conftest.py`` has it as the fixture ``hub_server``::

    def test_something(hub_server, tmp_path):
        hub_server.add("org/name", {"config.json": b"{}", "model.safetensors": weights})
        env = hub_server.environment(tmp_path / "hf-home")            # token=None for nobody's
        subprocess.run([sys.executable, "-c", SCRIPT], env=env)       # the client reads HF_ENDPOINT when it is imported
        assert hub_server.seen("GET", r"/resolve/")

    hub_server.fail(r"GET .*/resolve/main/config", status=503)        # every time; times=1 for once
    hub_server.fail(r"GET /lfs-objects/", corrupt=True)               # same size, other bytes
    hub_server.fail(r"GET /lfs-objects/", break_after=1000)           # the connection ends half-way
    hub_server.fail(r"HEAD .*safetensors", wrong_digest=True)         # promises another SHA-256 than it sends

Needs HF_HUB_DISABLE_XET=1, which ``environment`` sets.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

from hub_handler import HubHandler
from hub_store import Repository, StoredFile, is_lfs

TOKEN = "hf_writerTokenOfTheTests0001"
READ_TOKEN = "hf_readerTokenOfTheTests0002"
STRANGER_TOKEN = "hf_strangerTokenOfTests0003"


@dataclass(frozen=True)
class Seen:
    """One request: ``METHOD PATH``, who sent it (None without a token), its user agent and range."""

    line: str
    user: str | None
    agent: str
    range: str | None


@dataclass
class Fault:
    """What goes wrong for requests whose ``METHOD PATH`` a pattern is found in."""

    pattern: str
    status: int = 0
    code: str = ""
    message: str = ""
    corrupt: bool = False
    wrong_digest: bool = False
    break_after: int | None = None
    times: int = -1


class HubServer:
    """The server, in threads of this process; a context manager.

    Attributes:
        endpoint: Its address.
        repositories: What it holds, by ``ORG/NAME``.
        objects: Uploaded LFS objects by SHA-256.
        requests: Everything that it was asked, in order.
        users: Who a token belongs to, as (name, organisations, may write).
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[Seen] = []
        self.users = {
            TOKEN: ("writer", ("org",), True),
            READ_TOKEN: ("reader", ("org",), False),
            STRANGER_TOKEN: ("stranger", (), True),
        }
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        handler = type("Handler", (HubHandler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        # Another host than the Hub's own, as the real one: a client must not send its token there.
        self.storage = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(
        self, name: str, files: Mapping[str, bytes], *, private: bool = False, revision: str = "main"
    ) -> Repository:
        """Put files into a repository, new or not, as one commit."""
        with self.lock:
            repository = self.repositories.setdefault(name, Repository(name, private, name.split("/")[0]))
            if revision not in repository.revisions:
                repository.branch(revision)
            stored = {path: StoredFile(content, is_lfs(path, len(content))) for path, content in files.items()}
            self.objects.update({file.sha256: file.content for file in stored.values() if file.lfs})
            repository.commit(revision, "by hand", {**repository.revisions[revision][-1].files, **stored})
        return repository

    def environment(self, home: Path, token: str | None = TOKEN, **more: str) -> dict[str, str]:
        """The environment of a process that takes this server for the Hub, with its own cache in ``home``."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.lower().endswith("_proxy") and not key.startswith(("HF_", "HUGGING"))
        }
        kept |= {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        kept |= {"HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        return {**kept, **({"HF_TOKEN": token} if token else {}), **more}

    def fail(self, pattern: str, **fault: object) -> Fault:
        """Let requests fail; see ``Fault``. The newest matching fault counts."""
        self._faults.insert(0, Fault(pattern, **fault))  # type: ignore[arg-type]
        return self._faults[0]

    def heal(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def fault_of(self, line: str) -> Fault | None:
        """The fault that a request meets, counted down."""
        with self.lock:
            for fault in self._faults:
                if fault.times != 0 and re.search(fault.pattern, line):
                    fault.times -= 1
                    return fault
        return None

    def seen(self, method: str, pattern: str = "") -> list[Seen]:
        """The requests of a method whose path a pattern is found in."""
        return [one for one in self.requests if re.search(f"^{method} .*{pattern}", one.line)]
