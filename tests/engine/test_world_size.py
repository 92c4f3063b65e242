"""One process and two see the same images, views and mixed pixels in the same order, and so do their teachers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fork_server import ForkServer

_PROGRAM = Path(__file__).with_name("world_size_program.py")

pytestmark = pytest.mark.numeric


def test_two_processes_see_what_one_sees(tmp_path: Path, fork_server: ForkServer) -> None:
    for name, processes in (("one", None), ("two", 2)):
        (tmp_path / name).mkdir()
        fork_server.run(_PROGRAM, tmp_path / name, processes=processes)
    alone = json.loads((tmp_path / "one/seen-0.json").read_text())
    halves = [json.loads((tmp_path / f"two/seen-{rank}.json").read_text()) for rank in (0, 1)]
    assert len(alone["seen"]) == 9
    joined = [first + second for first, second in zip(halves[0]["seen"], halves[1]["seen"], strict=True)]
    assert joined == alone["seen"]
    assert {(student[:2], teacher[:2]) for step in joined for _, student, teacher in step} == {("16", "24")}
    assert alone["num_images"] == halves[0]["num_images"] == 360
