"""Killed, interrupted, in two processes: always the same numbers to the bit, and no image twice. Real processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fork_server import ForkServer

from kdzoo.zoo import load_model, save_model

pytestmark = pytest.mark.numeric

_PROGRAM = Path(__file__).with_name("evaluation_program.py")

# 360 images in batches of 50: eight, the last of ten images. Two are kept at a time.
_LIVES = (
    "once:1:0",
    "again:1:0",
    "two:2:0",
    *("killed:1:1", "killed:1:4", "killed:1:3", "killed:1:0"),
    *("stopped:1:t3", "stopped:1:0"),
    *("mixed:2:3", "mixed:1:2", "mixed:2:0"),
)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> tuple[Path, list[str]]:
    """All lives, and what the program said of them."""
    folder = tmp_path_factory.mktemp("lives")
    loaded = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=4)
    loaded.class_names = tuple("0123456789")
    loaded.preprocessing = replace(loaded.preprocessing, image_size=16)  # small, so that twelve lives are short
    save_model(loaded, folder / "model", provenance={})
    done = fork_server.run(_PROGRAM, folder / "model", "digits", folder, *_LIVES, timeout=550)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder, done.stdout.splitlines()


def kept(folder: Path) -> dict[str, Any]:
    """Documents without what a clock measured, and the bytes of the predictions, by file name."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.glob("*.predictions")}
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        del document["details"]["throughput"]
        found[path.name] = document
    assert not list(folder.glob(".eval-*"))  # nothing is left of what was kept on the way
    return found


def test_twice_is_the_same(lives: tuple[Path, list[str]]) -> None:
    folder, said = lives
    assert said[:2] == ["once: exit 0; 8", "again: exit 0; 8"]
    first = kept(folder / "once")
    assert len(first) == 4  # two sizes, a document and predictions each
    assert kept(folder / "again") == first
    assert {document["num_images"] for document in first.values() if isinstance(document, dict)} == {360}


def test_two_processes_are_one(lives: tuple[Path, list[str]]) -> None:
    folder, said = lives
    assert said[2] == "two: exit 0, exit 0; 4 4"
    assert kept(folder / "two") == kept(folder / "once")


def test_a_killed_evaluation_goes_on(lives: tuple[Path, list[str]]) -> None:
    folder, said = lives
    # Killed in its first batch; in its fourth, with two kept; in its third, with two more; four are left.
    assert said[3:7] == ["killed: signal 9; 1", "killed: signal 9; 4", "killed: signal 9; 3", "killed: exit 0; 4"]
    assert kept(folder / "killed") == kept(folder / "once")
    assert "going on after 200 of 360 images" in (folder / "stderr.txt").read_text()


def test_sigterm_loses_no_batch(lives: tuple[Path, list[str]]) -> None:
    folder, said = lives
    assert said[7:9] == ["stopped: exit 130; 3", "stopped: exit 0; 5"]
    assert kept(folder / "stopped") == kept(folder / "once")
    for path in (folder / "stopped").glob("*.json"):  # what the first process timed counts, too
        throughput = json.loads(path.read_text())["details"]["throughput"]
        assert throughput["num_images"] == 360
        assert throughput["network_images_per_s"] > 0


def test_what_two_processes_kept_one_goes_on_with(lives: tuple[Path, list[str]]) -> None:
    folder, said = lives
    # The first process is killed while it waits in vain, or has already ended because its partner was gone.
    assert said[9].startswith(("mixed: signal 9, signal 9; ", "mixed: exit 1, signal 9; "))
    assert said[10] == "mixed: signal 9; 2"
    assert said[11].startswith("mixed: exit 0, exit 0; ")
    assert kept(folder / "mixed") == kept(folder / "once")
