"""Labelling that is killed and gone on with, interrupted, or spread over processes ends with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fork_server import ForkServer

from kdzoo.data import LabelStore
from kdzoo.zoo import load_model, save_model

from ..recipes.conftest import SMALL

pytestmark = pytest.mark.numeric

_PROGRAM = Path(__file__).with_name("label_program.py")
_SPREAD = Path(__file__).parents[1] / "recipes" / "spread_program.py"
_PLACES = (
    "step:2",
    "half_a_label:1",
    "before_manifest:2",
    "half_a_manifest:2",
    "before_sync:1",
    "term:3",
    "half_a_label:4",
    "before_manifest:3",
    "half_a_manifest:1",
    "term:2",
    "before_sync:3",
    "step:1",
)
CASES = {
    "unmixed": ("hinton_kd", [], {"training.batch_size": 25}),  # the last step of an epoch has 10 images
    "mixed": ("xcl_mix", ["small_images"], {"training.batch_size": 20, "training.accumulate": 2}),
}


@pytest.fixture(scope="module")
def root(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The few digits in ``data``, and two untrained teachers."""
    root = tmp_path_factory.mktemp("labelling")
    (root / "data").symlink_to(few_digits)
    for seed in (1, 2):
        save_model(load_model("cifar_resnet8", num_classes=10, seed=seed), root / f"teacher-{seed}", provenance={})
    return root


def write_plan(root: Path, name: str, **more: object) -> Path:
    recipe, variants, own = CASES[name]
    teachers = {"teachers.models": [str(root / "teacher-1"), str(root / "teacher-2")]} if not more else {}
    given = {
        **SMALL,
        "data.dataset": str(root / "data"),
        "training.epochs": 2,
        **own,
        **teachers,
        **{k.replace("__", "."): v for k, v in more.items()},
    }
    path = root / f"{name}{'-student' if more else ''}.json"
    path.write_text(json.dumps({"recipe": recipe, "variants": variants, "given": given, "form": "float16"}))
    return path


def content(out: Path) -> dict[str, bytes]:
    """Everything but the record of the processes."""
    left = {path.name: path.read_bytes() for path in out.iterdir()}
    return {name: data for name, data in left.items() if name not in ("environment.json", ".lock")}


def whole(root: Path, name: str, server: ForkServer) -> Path:
    """The labelling of one process that is left alone."""
    out = root / name
    if not out.exists():
        server.run(_PROGRAM, write_plan(root, name), out)
    return out


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("unmixed", ("half_a_label:2",)),
        *(pytest.param(name, _PLACES, marks=pytest.mark.slow) for name in CASES),
    ],
)
def test_kills_change_nothing(
    name: str, places: tuple[str, ...], root: Path, fork_server: ForkServer, tmp_path: Path
) -> None:
    plan = write_plan(root, name)
    ended = fork_server.run(_PROGRAM, plan, tmp_path / "killed", *places).stdout.splitlines()
    expected = [f"{place} {'exit 130' if place.startswith('term') else 'signal 9'}" for place in places]
    assert ended == [*expected, "end exit 0"]
    assert content(tmp_path / "killed") == content(whole(root, name, fork_server))
    sessions = json.loads((tmp_path / "killed/environment.json").read_text())["sessions"]
    assert len(sessions) > len(places) // 2


@pytest.mark.parametrize("name", [pytest.param("unmixed", marks=pytest.mark.slow), "mixed"])
def test_two_processes_store_what_one_stores(name: str, root: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    fork_server.run(_PROGRAM, write_plan(root, name), tmp_path / "two", processes=2)
    assert content(tmp_path / "two") == content(whole(root, name, fork_server))


def test_what_one_process_began_two_end(root: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    plan = write_plan(root, "unmixed")
    fork_server.run(_PROGRAM, plan, tmp_path / "labels", "step:6", "--leave")
    fork_server.run(_PROGRAM, plan, tmp_path / "labels", processes=2)
    assert content(tmp_path / "labels") == content(whole(root, "unmixed", fork_server))


def test_two_students_processes_read_their_own_rows(root: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    """Of mixed images: what both see is what one sees, up to the order of sums."""
    plan = write_plan(root, "mixed", run__labels=str(whole(root, "mixed", fork_server)))
    found = []
    for name, processes in (("one", None), ("two", 2)):
        fork_server.run(_SPREAD, plan, tmp_path / name, processes=processes)
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        found.append([line["loss"] for line in lines if line["kind"] == "train"])
    assert len(found[0]) == 2 * 160 // 20
    assert found[1][0] == pytest.approx(found[0][0], rel=2e-2)  # BatchNorm sees half of the images
    assert torch.load(tmp_path / "two/held-1.pt")["teachers"] == []


def test_a_damaged_beginning_is_not_gone_on_with(root: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    plan, out = write_plan(root, "unmixed"), tmp_path / "labels"
    fork_server.run(_PROGRAM, plan, out, "step:3", "--leave")
    path = out / "epoch-00000.labels"
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    ended = fork_server.run(_PROGRAM, plan, out)
    assert ended.stdout == "end exit 1\n"
    assert "is damaged: it does not hold what was written to it" in ended.stderr
    assert LabelStore(out).num_epochs == 0
