"""The Hub over HTTP: a real client against a server on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

import kdzoo.zoo  # noqa: F401 (registers the networks)

pytestmark = pytest.mark.slow  # each load is a process of its own

SCRIPT = """
import sys
from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model
try:
    loaded = load_model(sys.argv[1])
    print(loaded.reference, loaded.num_classes, loaded.model.fc.weight.sum().item())
except ModelError as error:
    print("refused:", error.message, "|", error.hint)
"""


@pytest.fixture
def hub(tmp_path):
    """A Hub with one repository; yields its address and the requests that it saw."""
    model = timm.create_model("cifar_resnet8", num_classes=3)
    save_file(model.state_dict(), tmp_path / "w")
    config = {"architecture": "cifar_resnet8", "num_classes": 3, "pretrained_cfg": {"input_size": [3, 32, 32]}}
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": (tmp_path / "w").read_bytes()}
    requests: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            requests.append((self.command, self.path, str(self.headers.get("user-agent"))))
            content = files.get(self.path.removeprefix("/org/name/resolve/main/"), b"")
            if self.path == "/":
                self.send_response(200)
            elif content:
                self.send_response(200)
                self.send_header("X-Repo-Commit", "a" * 40)
                digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                self.send_header("ETag", f'"{digest}"')
            else:
                self.send_response(404)
                code = "EntryNotFound" if self.path.startswith("/org/name/") else "RepoNotFound"
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests, model.fc.weight.sum().item()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def load(reference: str, home: Path, endpoint: str) -> str:
    keep = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    env = {**keep, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_secret"}
    command = [sys.executable, "-c", SCRIPT, reference]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120)
    assert "hf_secret" not in done.stdout + done.stderr
    return done.stdout


def test_a_repository_is_downloaded_once_and_then_works_offline(hub, tmp_path):
    endpoint, requests, total = hub
    answer = load("hf-hub:org/name", tmp_path / "home", endpoint)
    assert answer.split()[:2] == ["hf-hub:org/name", "3"]
    assert float(answer.split()[2]) == pytest.approx(total)
    assert [path for method, path, _ in requests if method == "GET"] == [
        "/org/name/resolve/main/config.json",
        "/org/name/resolve/main/model.safetensors",
    ]
    assert load("hf-hub:org/name", tmp_path / "home", "http://127.0.0.1:9") == answer


def test_what_the_hub_does_not_have_is_one_line(hub, tmp_path):
    endpoint, _, _ = hub
    assert "there is no repository org/other" in load("hf-hub:org/other", tmp_path / "home", endpoint)
    assert "http://127.0.0.1:9 cannot be reached" in load("hf-hub:org/name", tmp_path / "home", "http://127.0.0.1:9")
