"""Trackers: a resumed run goes on where it was in them; what is not installed is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.engine.trackers import open_trackers

CONFIG = {"settings": {"optimizer.lr": {"value": 0.1, "source": "--set"}, "data.dataset": {"value": "x", "source": ""}}}


def two_sessions(name: str, folder: Path) -> str:
    """Three steps of a run, the last one after a restart; returns its token."""
    for steps in ((1, 2), (3,)):
        (tracker,) = open_trackers([name], folder, CONFIG)
        for step in steps:
            tracker.log({"kind": "train", "step": step, "epoch": 0, "loss": 1 / step, "note": "words"}, step)
        tracker.close()
    token: str = json.loads((folder / "trackers.json").read_text())["token"]
    return token


def test_mlflow_has_one_run_of_both_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs the whole of mlflow
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    token = two_sessions("mlflow", tmp_path / "run")
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.tags["kdzoo.run"] == token
    assert run.info.run_name == f"run-{token}"
    assert run.data.params == {"optimizer.lr": "0.1", "data.dataset": "x"}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss")
    assert [(one.step, one.value) for one in history] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_trackio_has_one_run_of_both_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    token = two_sessions("trackio", tmp_path / "run")
    assert SQLiteStorage.get_runs("kdzoo") == [f"run-{token}"]
    lines = SQLiteStorage.get_logs("kdzoo", f"run-{token}")
    assert [(one["step"], one["train/loss"]) for one in lines] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_an_unknown_tracker_and_one_that_is_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="unknown tracker 'comet'"):
        open_trackers(["comet"], tmp_path, {})
    assert os.listdir(tmp_path) == []
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(UsageError, match="wandb is not installed") as caught:
        open_trackers(["wandb"], tmp_path, {})
    assert caught.value.hint == "pip install wandb"
