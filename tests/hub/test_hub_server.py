"""The test Hub as the real client sees it: a server that answered wrongly would make every other test meaningless."""

from urllib.request import ProxyHandler, Request, build_opener

import pytest

UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo(sys.argv[1], private=True, exist_ok=True)
for _ in range(2):
    print(api.upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2], commit_message="one").oid)
print(api.create_commit(sys.argv[1], [], commit_message="x").oid)
"""
DOWNLOAD = """
import hashlib, sys
from huggingface_hub import HfApi, hf_hub_download
name, revision = sys.argv[1:]
try:
    print([one.path for one in HfApi().list_repo_tree(name, revision=revision)])
except Exception as error:
    sys.exit(print(type(error).__name__))
for file in ("a.txt", "b.safetensors"):
    try:
        with open(hf_hub_download(name, file, revision=revision), "rb") as opened:
            print(hashlib.sha256(opened.read()).hexdigest())
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.fixture
def call(torch_server, tmp_path):
    """Runs a script in a process that imports the client in the server's environment, and gives its lines."""

    def run(server, home, script, *arguments, token="hf_writerTokenOfTheTests0001"):
        (tmp_path / "script.py").write_text(script)
        environment = server.environment(home, token)
        done = torch_server.run(tmp_path / "script.py", *arguments, environment=environment, timeout=120, check=False)
        return done.stdout.splitlines() or done.stderr.splitlines()[-4:]

    return run


def test_what_is_pushed_is_what_comes_back_and_the_second_push_is_none(call, hub_server, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"text")
    (folder / "b.safetensors").write_bytes(bytes(range(256)) * 100)
    first, second, third = call(hub_server, tmp_path / "home", UPLOAD, "org/a", str(folder))
    repository = hub_server.repositories["org/a"]
    assert first == second == third == repository.revisions["main"][-1].sha
    assert repository.private
    assert [one.message for one in repository.revisions["main"]] == ["initial commit", "one"]
    assert len(hub_server.seen("PUT", "/lfs-objects/")) == 1
    listing, *digests = call(hub_server, tmp_path / "other", DOWNLOAD, "org/a", "main")
    assert listing == "['a.txt', 'b.safetensors']"
    files = repository.at("main").files
    assert digests == [files["a.txt"].sha256, files["b.safetensors"].sha256]
    assert [one.user for one in hub_server.seen("GET", "/lfs-objects/")] == [None], "the storage host saw the token"


@pytest.mark.parametrize(
    ("name", "revision", "token", "said"),
    [
        ("org/none", "main", "hf_writerTokenOfTheTests0001", "RepositoryNotFoundError"),
        ("org/a", "v9", None, "RevisionNotFoundError"),
        ("org/secret", "main", None, "RepositoryNotFoundError"),
        ("org/secret", "main", "hf_strangerTokenOfTests0003", "RepositoryNotFoundError"),
        ("org/secret", "main", "hf_nobodysTokenOfTheTests", "HfHubHTTPError"),
    ],
)
def test_what_is_refused_is_refused_with_the_hubs_codes(call, hub_server, tmp_path, name, revision, token, said):
    for one in ("org/a", "org/secret"):
        hub_server.add(one, {"a.txt": b"1", "b.safetensors": b"2"}, private=one == "org/secret")
    assert call(hub_server, tmp_path, DOWNLOAD, name, revision, token=token) == [said]


def test_damage_on_the_way(call, hub_server, tmp_path):
    weights = bytes(range(256)) * 100
    hub_server.add("org/a", {"a.txt": b"1", "b.safetensors": weights})
    whole = hub_server.repositories["org/a"].at("main").files["b.safetensors"].sha256
    hub_server.fail(r"GET /lfs-objects/", corrupt=True)
    assert call(hub_server, tmp_path / "1", DOWNLOAD, "org/a", "main")[-1] not in (whole, "HfHubHTTPError")
    hub_server.heal()
    hub_server.fail(r"GET /lfs-objects/", break_after=1000, times=1)
    assert call(hub_server, tmp_path / "2", DOWNLOAD, "org/a", "main")[-1] == whole, "the client tries again"
    assert len(hub_server.seen("GET", "/lfs-objects/")) == 3
    hub_server.fail(r"HEAD .*/resolve/", status=501)  # one that the client does not wait and try again for
    assert "Error" in call(hub_server, tmp_path / "3", DOWNLOAD, "org/a", "main")[-1]


def test_ranges(hub_server):
    hub_server.add("org/a", {"a.txt": b"0123456789"})
    asked = Request(f"{hub_server.endpoint}/org/a/resolve/main/a.txt", headers={"Range": "bytes=4-6"})
    with build_opener(ProxyHandler({})).open(asked, timeout=10) as answer:
        assert (answer.status, answer.headers["Content-Range"], answer.read()) == (206, "bytes 4-6/10", b"456")
