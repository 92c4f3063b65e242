"""A mirror of the papers' releases on this machine, for tests: real HTTP, with ranges, and with faults to order::

with ReleaseMirror({"legendary_models/X.pdparams": content}) as mirror:
    pull("…", mirror=mirror.address)
    mirror.fail("X.pdparams", break_after=1000)     # the connection ends half-way; times=1 for once
    mirror.fail("X.pdparams", status=503)
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """What goes wrong for paths that contain a text.

    Attributes:
        part: Of the path.
        status: Answer with this.
        break_after: End the connection after so many bytes of an answer.
        times: How often; -1 for ever.
        headers: Further headers.
    """

    part: str
    status: int = 0
    break_after: int | None = None
    times: int = -1
    headers: Mapping[str, str] = field(default_factory=dict)


class ReleaseMirror:
    """The server, in threads of this process; a context manager.

    Attributes:
        address: Where it listens.
        files: What it serves, by path.
        requests: ``METHOD PATH RANGE``, in order.
        validators: Whether it sends an ETag.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.requests: list[str] = []
        self.validators = True
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"mirror": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> ReleaseMirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody answers from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(self, part: str, **fault: Any) -> None:
        """Let requests fail; see ``Fault``."""
        self._faults.insert(0, Fault(part, **fault))

    def heal(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def fault_of(self, path: str) -> Fault | None:
        """The fault that a request meets, counted down."""
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fault.part in path:
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    mirror: ReleaseMirror
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.mirror.requests.append(f"GET {path} {wanted or ''}".rstrip())
        fault = self.mirror.fault_of(path)
        if fault and fault.status:
            return self._answer(fault.status, b"<html>no</html>", fault)
        content = self.mirror.files.get(path)
        if content is None:
            return self._answer(404, b"<html>not found</html>", None)
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        same = self.headers.get("If-Range") in (None, tag)
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if match and same:
            start = int(match[1])
            if start >= len(content):
                return self._answer(416, b"", None)
            extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return self._answer(206, content[start:], fault, tag, extra)
        return self._answer(200, content, fault, tag)

    def _answer(
        self, status: int, content: bytes, fault: Fault | None, tag: str = "", extra: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if tag and self.mirror.validators:
            self.send_header("ETag", tag)
        for name, value in {**(extra or {}), **(fault.headers if fault else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault and fault.break_after is not None and not fault.status:
            self.wfile.write(content[: fault.break_after])
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
