"""A checkpoint is used only if its digest holds; damage is said and survived."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdzoo.base.errors import CheckpointError
from kdzoo.engine.checkpoint import checkpoint_path, digest_path, newest_good, save_checkpoint, tidy


def _save(folder: Path, *steps: int, best: int = -1) -> None:
    for step in steps:
        save_checkpoint(folder, step, {"w": torch.full((100,), float(step)), "step": step}, best=step == best)


def test_the_newest_is_taken_and_old_ones_go(tmp_path: Path) -> None:
    _save(tmp_path, 1, 2, 3, best=1)
    said: list[str] = []
    state = newest_good(tmp_path, said.append)
    assert state is not None
    assert state["step"] == 3
    assert not said
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "best.safetensors",
        "step-000000002.safetensors",
        "step-000000003.safetensors",
    ]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "no digest", "wrong digest"])
def test_damage_falls_back_and_is_said(tmp_path: Path, damage: str) -> None:
    _save(tmp_path, 1, 2)
    path = checkpoint_path(tmp_path, 2)
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[:-7])
    elif damage == "flip":
        content[-20] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no digest":
        digest_path(path).unlink()
    else:
        digest_path(path).write_text("0" * 64)
    said: list[str] = []
    state = newest_good(tmp_path, said.append)
    assert state is not None
    assert state["step"] == 1
    assert len(said) == 1
    assert "step-000000002" in said[0]


def test_no_good_checkpoint_is_an_error(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    checkpoint_path(tmp_path, 1).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        newest_good(tmp_path, lambda text: None)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert newest_good(tmp_path, lambda text: None) is None


def test_leftovers_of_a_kill_go(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    (tmp_path / ".step-000000002.safetensors.tmp").write_bytes(b"half")
    (tmp_path / "step-000000002.sha256").write_text("orphan")
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000001.safetensors", "step-000000001.sha256"]


def test_others_may_read_a_checkpoint_as_any_new_file(tmp_path: Path) -> None:
    """safetensors itself makes files that their owner alone can read."""
    (tmp_path / "any").touch()
    save_checkpoint(tmp_path, 3, {"weights": torch.zeros(2)})
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
