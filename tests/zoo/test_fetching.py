"""Downloads over real HTTP: whole or not at all, gone on with where they broke, clear about what went wrong."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest

from kdzoo.base.errors import ModelError, RunError, UsageError
from kdzoo.zoo import fetching
from kdzoo.zoo.fetching import check_address, fetch

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_arrives_whole_and_says_how_far_it_is(tmp_path, serve):
    mirror, seen = serve({"f": CONTENT}), []
    assert fetch(f"{mirror.address}/f", tmp_path / "a" / "f", progress=lambda *step: seen.append(step)) == DIGEST
    assert (tmp_path / "a" / "f").read_bytes() == CONTENT
    assert left(tmp_path) == ["f"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_broken_connection_is_gone_on_with(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    mirror.fail("f", break_after=1_000_000, times=2)
    assert fetch(f"{mirror.address}/f", tmp_path / "f") == DIGEST
    assert mirror.requests == ["GET f", "GET f bytes=1000000-", "GET f bytes=2000000-"]


def test_a_part_is_kept_for_the_next_run(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    mirror.fail("f", break_after=0)
    mirror.fail("f", break_after=1_200_000, times=1)
    with pytest.raises(ModelError, match=r"the connection broke after 1\.2 of 3\.0 MB") as caught:
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert caught.value.hint == "1.2 MB are kept: run it again to go on"
    assert left(tmp_path) == ["f.part", "f.part.json"]
    mirror.heal()
    mirror.requests.clear()
    assert fetch(f"{mirror.address}/f", tmp_path / "f") == DIGEST
    assert mirror.requests == ["GET f bytes=1200000-"]
    assert left(tmp_path) == ["f"]


@pytest.mark.parametrize("change", ["another file", "no validator", "another address", "too long"])
def test_a_part_of_something_else_is_not_gone_on_with(tmp_path, serve, change):
    mirror = serve({"f": CONTENT, "g": CONTENT})
    mirror.validators = change != "no validator"
    mirror.fail("f", break_after=0)
    mirror.fail("f", break_after=1_000_000, times=1)
    with pytest.raises(ModelError):
        fetch(f"{mirror.address}/f", tmp_path / "f")
    mirror.heal()
    now, name = CONTENT, "g" if change == "another address" else "f"
    if change == "another file":
        now = mirror.files["f"] = os.urandom(3_000_000)
    if change == "too long":
        with open(tmp_path / "f.part", "ab") as file:
            file.write(bytes(5_000_000))
    assert fetch(f"{mirror.address}/{name}", tmp_path / "f") == hashlib.sha256(now).hexdigest()
    assert (tmp_path / "f").read_bytes() == now


def test_a_file_that_is_not_there(tmp_path, serve):
    mirror = serve({})
    with pytest.raises(ModelError, match=r"/f is not there: the server answered 404") as caught:
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert "--convert FILE --as NAME" in caught.value.hint
    assert mirror.requests == ["GET f"]
    assert left(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    mirror.fail("f", status=503, times=2)
    assert fetch(f"{mirror.address}/f", tmp_path / "f") == DIGEST
    mirror.fail("f", status=500)
    mirror.requests.clear()
    with pytest.raises(ModelError, match=r"could not be downloaded: the server answered 500"):
        fetch(f"{mirror.address}/f", tmp_path / "g")
    assert len(mirror.requests) == fetching.ATTEMPTS
    assert left(tmp_path) == ["f"]


def test_nobody_answers(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    mirror.stop()
    mirror.stop = lambda: None
    with pytest.raises(ModelError, match=r"could not be downloaded: .*refused"):
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert left(tmp_path) == []


def test_bytes_that_changed_on_the_way_are_not_taken(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    mirror.fail("f", headers={"Content-MD5": wrong}, times=1)
    assert fetch(f"{mirror.address}/f", tmp_path / "f") == DIGEST
    mirror.fail("f", headers={"Content-MD5": wrong})
    with pytest.raises(ModelError, match="Content-MD5"):
        fetch(f"{mirror.address}/f", tmp_path / "g")
    assert left(tmp_path) == ["f"]


def test_a_file_larger_than_any(tmp_path, serve, monkeypatch):
    mirror = serve({"f": CONTENT})
    monkeypatch.setattr(fetching, "MAX_BYTES", 1_000_000)
    with pytest.raises(ModelError, match="no weights of the zoo are that large"):
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert left(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are POSIX")
def test_no_room(tmp_path, serve, fork_server):
    """The limit on a file's size stands in for a full disk: the system refuses the write in the same way."""
    mirror = serve({"f": CONTENT})
    script = """
import resource, sys
from pathlib import Path
from kdzoo.base.errors import RunError
from kdzoo.zoo.fetching import fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
try:
    fetch(sys.argv[1], Path(sys.argv[2]))
except RunError as error:
    print(error.message, "|", error.hint)
"""
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "place").mkdir()
    done = fork_server.run(tmp_path / "script.py", f"{mirror.address}/f", tmp_path / "place/f")
    assert done.stdout.startswith("there is no room for f in ")
    assert "KDZOO_HOME" in done.stdout
    assert left(tmp_path / "place") == []


def test_less_room_than_the_file_needs(tmp_path, serve, monkeypatch):
    mirror = serve({"f": CONTENT})
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(RunError, match="there is no room"):
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert left(tmp_path) == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/f", "/etc/passwd", "data:,x", "", "http://"])
def test_only_http(address):
    with pytest.raises(UsageError, match="is not an address"):
        check_address(address)


def test_no_password_in_an_address():
    with pytest.raises(UsageError) as caught:
        check_address("https://me:secret@host/f")
    assert "secret" not in caught.value.message


def test_a_redirect_to_a_file_is_not_followed(tmp_path, serve):
    mirror = serve({"f": CONTENT})
    mirror.fail("f", status=302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(ModelError):
        fetch(f"{mirror.address}/f", tmp_path / "f")
    assert left(tmp_path) == []
