"""Publishing to and loading from a Hub through the real client, over HTTP: the whole way, and every way to fail."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fork_server import ForkServer

PUBLISH = """
import os, sys
import kdzoo.sharing
from kdzoo.base.errors import KdzooError
run, *repositories = sys.argv[1:]
for text in repositories:
    name, *options = text.split(",")
    given = {"licence": "mit"}
    for option in options:
        key, _, value = option.partition("=")
        given[key] = value or True
    if "token" in given:
        os.environ["HF_TOKEN"] = given.pop("token")
    try:
        made = kdzoo.sharing.publish(run, name, **given)
        print(made.reference, made.changed, made.commit)
    except KdzooError as error:
        print("refused:", error.message, "|", error.hint)
"""
LOAD = """
import sys, torch, kdzoo.zoo, timm
from safetensors.torch import load_file
model = timm.create_model(sys.argv[1], pretrained=True)
weights = load_file(sys.argv[2])
state = model.state_dict()
assert state.keys() == weights.keys() and all(torch.equal(state[k], weights[k]) for k in weights)
look = timm.data.resolve_model_data_config(model)
print(look["input_size"], look["crop_pct"], look["interpolation"])
loaded = kdzoo.zoo.load_model(sys.argv[1])
print(loaded.licence, loaded.promised_top1, loaded.class_names, loaded.preprocessing.mean == tuple(look["mean"]))
"""
CACHE = """
import sys
from pathlib import Path
from kdzoo.base.errors import ModelError
from kdzoo.zoo import load_model
for name in sys.argv[1:]:
    try:
        print("loaded", load_model(name).num_classes)
    except ModelError as error:
        print("refused:", error.message, "|", error.hint)
"""
TOKEN = "hf_writerTokenOfTheTests0001"


@pytest.fixture
def call(torch_server: ForkServer, tmp_path: Path) -> Callable[..., list[str]]:
    """Runs a script in a process that imports the Hub's client in the server's environment, and gives its lines."""

    def run(server, home, script, *arguments, token=TOKEN, **more):
        (tmp_path / "script.py").write_text(script)
        environment = server.environment(home, token, **more)
        done = torch_server.run(tmp_path / "script.py", *arguments, environment=environment)
        if token:
            assert token not in done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def test_what_is_published_is_what_timm_loads_and_the_second_time_nothing_happens(call, hub_server, make_run, tmp_path):
    run = make_run(tmp_path / "run", environment={"sessions": [{"command": ["kdzoo", "--token", TOKEN]}]})
    said = call(
        hub_server, tmp_path / "home", PUBLISH, run, "org/new,private", "org/new", "org/new,revision=v1,message=m"
    )
    repository = hub_server.repositories["org/new"]
    first = repository.revisions["main"][1]
    assert said == [
        f"hf-hub:org/new True {first.sha}",
        f"hf-hub:org/new False {first.sha}",
        f"hf-hub:org/new@v1 True {repository.revisions['v1'][-1].sha}",
    ]
    assert repository.private
    assert [one.message for one in repository.revisions["main"]] == [
        "initial commit", "cifar_resnet8: top-1 87.50 on digits val",
    ]  # fmt: skip
    assert [one.message for one in repository.revisions["v1"]][-1] == "m"
    assert "hf-hub:org/new@v1" in repository.at("v1").files["README.md"].content.decode()
    assert set(first.files) == {"README.md", "config.json", "model.safetensors"}
    assert first.files["model.safetensors"].lfs
    assert len(hub_server.seen("PUT", "/lfs-objects/")) == 1, "the weights were sent once"
    assert all(TOKEN.encode() not in file.content for file in first.files.values())
    weights = run / "model" / "model.safetensors"
    assert first.files["model.safetensors"].content == weights.read_bytes()
    assert call(hub_server, tmp_path / "other", LOAD, "hf-hub:org/new", weights) == [
        "[3, 32, 32] 1.0 bilinear",
        "mit 87.5 ('null', 'eins', 'zwei') True",
    ]


def test_a_pull_request_is_made_once_and_leaves_the_default_branch(call, hub_server, make_run, tmp_path):
    hub_server.add("other/model", {"README.md": b"---\nlicense: mit\n---\nold"})
    before = hub_server.repositories["other/model"].at("main").sha
    said = call(
        hub_server, tmp_path / "home", PUBLISH, make_run(tmp_path / "run"),
        "other/model,create_pr", "other/model,create_pr", "org/none,create_pr", "other/model",
    )  # fmt: skip
    assert said[0].startswith("hf-hub:other/model@refs/pr/1 True ")
    assert said[1] == said[0].replace("True", "False")
    assert "there is no repository org/none" in said[2]
    assert "your login may not write to other/model" in said[3]
    assert hub_server.repositories["other/model"].at("main").sha == before
    assert hub_server.repositories["other/model"].pull_requests == ["refs/pr/1"]


def test_every_failure_is_one_line_and_changes_nothing(call, hub_server, make_run, tmp_path):
    for name in ("public", "late", "lost", "refused"):
        hub_server.add(f"org/{name}", {"notes.txt": b"kept"})
    states = {name: one.at("main").sha for name, one in hub_server.repositories.items() if name != "org/lost"}
    hub_server.fail(r"POST /api/models/org/late/commit", status=503)
    hub_server.fail(r"POST /api/models/org/lost/commit", break_after=10)
    hub_server.fail(
        r"POST /api/models/org/refused/preupload", status=403, message="no rights for hf_somebodysToken0009"
    )
    names = ("org/public,private", "org/late", "org/lost", "org/refused", "stranger/x")
    said = call(hub_server, tmp_path / "home", PUBLISH, make_run(tmp_path / "run"), *names)
    for line, part in zip(
        said,
        (
            "org/public exists and is public: --private cannot hide it",
            "the Hub failed with status 503 while org/late was published",
            "failed (RemoteProtocolError) while org/lost was published",
            "your login may not write to org/refused (no rights for ***)",
            "your login may not write to stranger/x",
        ),
        strict=True,
    ):
        assert line.startswith("refused: ")
        assert part in line
        assert line.partition(" | ")[2] not in ("", "None")
    assert all(hub_server.repositories[name].at("main").sha == sha for name, sha in states.items())
    assert set(hub_server.repositories) == {*states, "org/lost"}


def test_without_a_login_that_may_write(call, hub_server, make_run, tmp_path):
    parts = {
        "org/new": "publishing needs a login on the Hub, and there is none",
        "org/new,token=hf_nobodysTokenOfTheTests": "the Hub does not accept the login",
        "org/new,token=hf_readerTokenOfTheTests0002": "your login may not write to org/new",
    }
    said = call(hub_server, tmp_path / "home", PUBLISH, make_run(tmp_path / "run"), *parts, token=None)
    for line, part in zip(said, parts.values(), strict=True):
        assert line.startswith(f"refused: {part}")
    assert hub_server.repositories == {}


def test_a_package_that_holds_the_token_is_not_sent(call, hub_server, make_run, tmp_path):
    """A token that looks like none of those that are taken out of what is saved."""
    token = "word-that-only-its-owner-knows"
    run = make_run(tmp_path / "run", config={"settings": {"run.device": {"value": token, "source": "--device"}}})
    (line,) = call(hub_server, tmp_path / "home", PUBLISH, run, "org/new", token=token)
    assert line.startswith("refused: the run's records hold the Hub's token, and are not sent")
    assert hub_server.repositories == {}


def test_damage_on_the_way_is_noticed_and_nothing_broken_stays(call, hub_server, make_run, tmp_path):
    model = make_run(tmp_path / "run") / "model"
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    for name in ("flipped", "promise", "config"):
        changed = json.dumps({**json.loads(files["config.json"]), "name": name}).encode()
        hub_server.add(f"org/{name}", {**files, "config.json": changed})
    home = tmp_path / "home"
    hub_server.fail(r"GET /lfs-objects/", corrupt=True, times=1)
    hub_server.fail(r"(HEAD|GET) /org/promise/resolve/main/model.safetensors", wrong_digest=True)
    hub_server.fail(r"GET /org/config/resolve/main/config.json", corrupt=True, times=1)
    names = ("flipped", "flipped", "promise", "config", "config", "none")
    said = call(hub_server, home, CACHE, *(f"hf-hub:org/{name}" for name in names))
    damaged = "of org/{} was damaged on the way"
    assert damaged.format("flipped") in said[0]
    assert "it was taken out of the cache; try again" in said[0]
    assert said[1] == "loaded 3"
    assert damaged.format("promise") in said[2]
    assert "config.json of org/config was damaged" in said[3]
    assert said[4] == "loaded 3"
    assert "there is no repository org/none" in said[5]
    left = [path for path in home.rglob("*") if path.is_symlink() or "blobs" in path.parts]
    assert left
    for path in left:
        assert path.exists(), f"{path} leads nowhere"
        assert not path.name.endswith(".incomplete")
    assert not [path for path in home.rglob("model.safetensors") if "models--org--promise" in str(path)]


def test_a_connection_that_breaks_half_way_is_taken_up_again(call, hub_server, make_run, tmp_path):
    model = make_run(tmp_path / "run") / "model"
    hub_server.add("org/a", {path.name: path.read_bytes() for path in model.iterdir()})
    hub_server.fail(r"GET /lfs-objects/", break_after=1000)
    (line,) = call(hub_server, tmp_path / "home", CACHE, "hf-hub:org/a")
    assert line.startswith("refused: org/a could not be downloaded")
    hub_server.heal()
    assert call(hub_server, tmp_path / "home", CACHE, "hf-hub:org/a") == ["loaded 3"]


def test_a_private_model_needs_its_login(call, hub_server, make_run, tmp_path):
    model = make_run(tmp_path / "run") / "model"
    hub_server.add("org/a", {path.name: path.read_bytes() for path in model.iterdir()}, private=True)
    assert call(hub_server, tmp_path / "1", CACHE, "hf-hub:org/a") == ["loaded 3"]
    (line,) = call(hub_server, tmp_path / "2", CACHE, "hf-hub:org/a", token=None)
    assert "there is no repository org/a on the Hub, or it is private" in line
    assert "hf auth login" in line
    assert not list(Path(tmp_path / "2").rglob("model.safetensors"))
    assert TOKEN not in os.environ.values()
