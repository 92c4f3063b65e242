"""Folders as kills and damage leave them: each is gone on with, begun anew, or refused for good and in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transfer_trees import class_folders

from kdzoo.base.digests import sha256_of
from kdzoo.base.errors import CheckpointError, RunError
from kdzoo.cli.main import main
from kdzoo.engine.checkpoint import checkpoint_path, digest_path, newest_good, save_checkpoint
from kdzoo.engine.metric_lines import JsonLines
from kdzoo.engine.run_folder import RunFolder
from kdzoo.zoo import load_model, save_model

Train = Callable[..., tuple[int, str]]


def state(step: int) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((100,), float(step))}


def begun(path: Path, *steps: int) -> RunFolder:
    """A run with checkpoints after some steps."""
    folder = RunFolder(path)
    with folder.claim({}, {"seed": 1}, resume=False):
        for step in steps:
            save_checkpoint(folder.checkpoints, step, state(step))
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_without_a_finished_checkpoint_begins_anew(tmp_path: Path, resume: bool) -> None:
    folder = begun(tmp_path / "run", 1)
    digest_path(checkpoint_path(folder.checkpoints, 1)).unlink()
    folder.refuse_if_taken({"seed": 2}, resume=resume)
    said: list[str] = []
    with folder.claim({}, {"seed": 2}, resume=resume):
        assert newest_good(folder.checkpoints, said.append) is None
    assert '"seed": 2' in folder.config.read_text()
    assert "step-000000001.safetensors has no SHA-256" in said[0]


@pytest.mark.parametrize("resume", [False, True])
def test_damage_to_all_checkpoints_is_said_either_way_and_nothing_is_overwritten(tmp_path: Path, resume: bool) -> None:
    folder = begun(tmp_path / "run", 1, 2)
    for step in (1, 2):
        flip(checkpoint_path(folder.checkpoints, step))
    before = {path: path.read_bytes() for path in folder.path.rglob("*.s*")}
    with (
        pytest.raises(CheckpointError, match=r"no checkpoint in .* is good") as raised,
        folder.claim({}, {"seed": 1}, resume=resume),
    ):
        newest_good(folder.checkpoints, print)
    assert "--resume" not in str(raised.value.hint)
    assert {path: path.read_bytes() for path in folder.path.rglob("*.s*")} == before


def test_a_good_checkpoint_is_not_dropped_for_damaged_later_ones(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", 1, 5, 6)
    for step in (5, 6):
        flip(checkpoint_path(folder.checkpoints, step))
    save_checkpoint(folder.checkpoints, 1, state(1))
    save_checkpoint(folder.checkpoints, 2, state(2))
    found = newest_good(folder.checkpoints, lambda text: None)
    assert found is not None
    assert torch.equal(found["weights"], state(2)["weights"])


def test_a_checkpoint_that_is_replaced_has_a_digest_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an interrupt within an evaluation: the same step, other bytes."""
    from kdzoo.base import writing

    folder, seen = begun(tmp_path / "run", 3), []
    monkeypatch.setattr(
        writing.os, "replace", lambda source, place, real=writing.os.replace: (look(), real(source, place), look())
    )

    def look() -> None:
        found = newest_good(folder.checkpoints, lambda text: None)
        seen.append(None if found is None else float(found["weights"][0]))

    save_checkpoint(folder.checkpoints, 3, state(4))
    assert sorted(set(seen)) == [3.0, 4.0]
    digest = digest_path(checkpoint_path(folder.checkpoints, 3)).read_text()
    assert digest == f"{sha256_of(checkpoint_path(folder.checkpoints, 3))}  step-000000003.safetensors\n"


def test_a_folder_that_holds_only_what_was_being_written_is_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "run" / ".kdzoo-0123456789ab.tmp").mkdir(parents=True)
    (tmp_path / "run" / ".config.json.tmp").touch()
    folder = begun(tmp_path / "run")
    assert sorted(path.name for path in folder.path.iterdir()) == [
        ".lock", "checkpoints", "config.json", "environment.json"
    ]  # fmt: skip


def test_checkpoints_without_their_settings_are_not_begun_over(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", 1)
    folder.config.unlink()
    with pytest.raises(RunError, match="already holds a run"):
        folder.refuse_if_taken({"seed": 1}, resume=False)
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        folder.refuse_if_taken({"seed": 1}, resume=True)


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """``kdzoo train`` on a few images; its exit code and what it said."""
    class_folders(tmp_path / "data")
    (tmp_path / "data" / "test").rename(tmp_path / "data" / "val")
    monkeypatch.chdir(tmp_path)

    def call(*more: str) -> tuple[int, str]:
        code = main(
            [
                *("train", "--model", "cifar_resnet8", "--data", "data", "--epochs", "2", "--batch-size", "9"),
                *("--image-size", "16", "--workers", "0", "--device", "cpu", "--out", "run", *more),
            ]
        )
        return code, capsys.readouterr().err

    return call


def test_logs_and_leftovers_of_a_run(train: Train, tmp_path: Path) -> None:
    """One run; then its log is shortened, changed, taken away, and an export of an earlier kdzoo lies about."""
    assert train()[0] == 0
    run = tmp_path / "run"
    lines = (run / "metrics.jsonl").read_bytes()
    (run / "result.json").unlink()
    (run / ".model.tmp").mkdir()
    (run / ".model.tmp" / "model.safetensors").write_bytes(b"half")
    for damaged in (lines[:-40], lines.replace(b"train", b"trian", 1)):
        (run / "metrics.jsonl").write_bytes(damaged)
        code, said = train("--resume")
        assert code == 1
        assert "metrics.jsonl is damaged: it does not hold what was written to it" in said
        assert (run / "metrics.jsonl").read_bytes() == damaged
    (run / "metrics.jsonl").write_bytes(lines)
    assert train("--resume")[0] == 0
    assert (run / "metrics.jsonl").read_bytes() == lines
    assert not (run / ".model.tmp").exists()
    (run / "result.json").unlink()
    (run / "metrics.jsonl").unlink()
    code, said = train("--resume")
    assert code == 0
    assert "metrics.jsonl is gone" in said


def test_a_finished_transfer_is_taken_up_where_it_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "data")
    backbone = str(save_model(load_model("cifar_resnet8", num_classes=5, seed=1), tmp_path / "backbone", provenance={}))
    monkeypatch.chdir(tmp_path)
    words = ["transfer", str(tmp_path / "data"), "--backbone", backbone, "--epochs", "1", "--batch-size", "9"]
    words += ["--image-size", "16", "--seeds", "1", "--workers", "0", "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "out")]) == 0
    whole = (tmp_path / "out" / "transfer.json").read_text()
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert main([*words, str(tmp_path / "moved"), "--resume"]) == 0
    assert not (tmp_path / "out").exists()
    again = (tmp_path / "moved" / "transfer.json").read_text()
    assert again.replace("moved", "out") == whole


def test_a_shorter_log_is_seen_without_a_digest_too(tmp_path: Path) -> None:
    """As checkpoints of earlier versions state it."""
    log = JsonLines(tmp_path / "metrics.jsonl")
    log.write({"step": 1})
    length = log.commit()["bytes"]
    log.close()
    JsonLines(tmp_path / "metrics.jsonl", length).close()
    with pytest.raises(CheckpointError, match="damaged"):
        JsonLines(tmp_path / "metrics.jsonl", length + 1)
