"""Trackers, for those who have them. The files of the run folder are always written."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ..base.errors import UsageError
from ..base.regular_files import read_json
from ..base.setting_values import TRACKERS
from ..base.writing import write_json

PROJECT = "kdzoo"
"""Of W&B and trackio; MLflow's experiment, unless MLFLOW_EXPERIMENT_NAME or _ID names one."""


class Tracker(Protocol):
    """Gets every line of metrics and of speed."""

    def log(self, line: dict[str, Any], step: int) -> None:
        """Log the numbers of one line at a global step."""

    def close(self) -> None:
        """Write what is left, and close the log."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run.

    Attributes:
        folder: The run folder.
        token: The same for every session of a run, so that a resumed one goes on in the tracker too.
        config: config.json.
    """

    folder: Path
    token: str
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What a person reads there."""
        return f"{self.folder.resolve().name}-{self.token}"


def _numbers(line: dict[str, Any]) -> dict[str, float]:
    prefix = f"{line.get('kind', '')}/{line['model']}" if "model" in line else str(line.get("kind", ""))
    skip = {"step", "epoch"}
    return {f"{prefix}/{k}": float(v) for k, v in line.items() if k not in skip and isinstance(v, int | float)}


class _TensorBoard:
    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"))

    def log(self, line: dict[str, Any], step: int) -> None:
        for name, value in _numbers(line).items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    """Weights & Biases, and trackio, which has its functions."""

    def __init__(self, package: str, run: TrackedRun, **place: Any) -> None:
        self._package = import_module(package)
        self._run = self._package.init(project=PROJECT, name=run.name, config=dict(run.config), resume="allow", **place)

    def log(self, line: dict[str, Any], step: int) -> None:
        self._run.log(_numbers(line), step=step)

    def close(self) -> None:
        self._package.finish()  # a run of trackio that ends by itself is ended again, aloud, at the process' end


class _MLflow:
    """An MLflow run, where MLFLOW_TRACKING_URI says."""

    def __init__(self, run: TrackedRun) -> None:
        import mlflow
        from mlflow.environment_variables import MLFLOW_EXPERIMENT_ID, MLFLOW_EXPERIMENT_NAME

        if not (MLFLOW_EXPERIMENT_ID.get() or MLFLOW_EXPERIMENT_NAME.get()):
            mlflow.set_experiment(PROJECT)
        before = mlflow.search_runs(filter_string=f"tags.`kdzoo.run` = '{run.token}'", output_format="list")
        if before:
            self._run = mlflow.start_run(run_id=before[0].info.run_id)
        else:
            self._run = mlflow.start_run(run_name=run.name, tags={"kdzoo.run": run.token})
            mlflow.log_params({name: one["value"] for name, one in run.config.get("settings", {}).items()})
        self._mlflow = mlflow

    def log(self, line: dict[str, Any], step: int) -> None:
        self._mlflow.log_metrics(_numbers(line), step=step, run_id=self._run.info.run_id)

    def close(self) -> None:
        self._mlflow.end_run()


_TRACKERS: Mapping[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": lambda run: _WandB("wandb", run, id=run.token, dir=str(run.folder)),
    "trackio": lambda run: _WandB("trackio", run),
    "mlflow": _MLflow,
}


def open_trackers(names: Sequence[str], folder: Path, config: Mapping[str, Any]) -> list[Tracker]:
    """Open trackers by their names; ``trackers.json`` in the folder keeps the run's token.

    Raises:
        UsageError: An unknown tracker, or one whose package is not installed.
    """
    for name in names:
        if name not in _TRACKERS:
            raise UsageError(f"unknown tracker {name!r}", hint=f"use one of {', '.join(TRACKERS)}")
    if not names:
        return []
    kept = folder / "trackers.json"
    if not kept.exists():
        write_json(kept, {"token": secrets.token_hex(4)})
    run = TrackedRun(folder, str(read_json(kept)["token"]), config)
    trackers: list[Tracker] = []
    for name in names:
        try:
            trackers.append(_TRACKERS[name](run))
        except ImportError as error:
            raise UsageError(f"{name} is not installed", hint=f"pip install {name}") from error
    return trackers
