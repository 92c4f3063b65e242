"""TensorBoard and Weights & Biases, for those who have them. The files of the run folder are always written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ..base.errors import UsageError

NAMES = ("tensorboard", "wandb")


class Tracker(Protocol):
    """Gets every line of metrics and of speed."""

    def log(self, line: dict[str, Any], step: int) -> None:
        """Log the numbers of one line at a global step."""

    def close(self) -> None:
        """Write what is left, and close the log."""


def _numbers(line: dict[str, Any]) -> dict[str, float]:
    prefix = f"{line.get('kind', '')}/{line['model']}" if "model" in line else str(line.get("kind", ""))
    skip = {"step", "epoch"}
    return {f"{prefix}/{k}": float(v) for k, v in line.items() if k not in skip and isinstance(v, int | float)}


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, line: dict[str, Any], step: int) -> None:
        for name, value in _numbers(line).items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        import wandb

        self._run = wandb.init(project="kdzoo", name=folder.name, dir=str(folder), config=config, resume="allow")

    def log(self, line: dict[str, Any], step: int) -> None:
        self._run.log(_numbers(line), step=step)

    def close(self) -> None:
        self._run.finish()


def open_trackers(names: Sequence[str], folder: Path, config: dict[str, Any]) -> list[Tracker]:
    """Open trackers by their names.

    Raises:
        UsageError: An unknown tracker, or one whose package is not installed.
    """
    trackers: list[Tracker] = []
    for name in names:
        try:
            if name == "tensorboard":
                trackers.append(_TensorBoard(folder))
            elif name == "wandb":
                trackers.append(_WandB(folder, config))
            else:
                raise UsageError(f"unknown tracker {name!r}", hint=f"use one of {', '.join(NAMES)}")
        except ImportError as error:
            raise UsageError(f"{name} is not installed", hint="pip install 'kdzoo[trackers]'") from error
    return trackers
