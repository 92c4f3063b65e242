"""What a run writes down as it goes: metrics.jsonl, speed.jsonl, and the trackers that were asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .metric_lines import JsonLines, length_until, write_csv
from .progress import say
from .run_folder import RunFolder
from .trackers import Tracker, open_trackers


class RunLog:
    """The logs of a run; silent on every process but the first.

    Args:
        folder: The run folder.
        enabled: Whether this process writes.
    """

    def __init__(self, folder: RunFolder, *, enabled: bool) -> None:
        self._folder, self._enabled = folder, enabled
        self._metrics: JsonLines | None = None
        self._speed: JsonLines | None = None
        self._trackers: list[Tracker] = []

    def open(self, step: int, position: Mapping[str, Any], trackers: Sequence[str], config: Mapping[str, Any]) -> None:
        """Begin, or go on after ``step``: later lines are cut off, their steps will be run again.

        Args:
            step: Finished steps.
            position: What ``position`` gave when they were; empty at the beginning.
            trackers: Names.
            config: Of the run, for trackers.

        Raises:
            CheckpointError: metrics.jsonl does not hold what was written to it.
        """
        if self._enabled:
            length, sha256 = position.get("metrics_bytes", 0), position.get("metrics_sha256")
            if length and not self._folder.metrics.exists():
                say(f"warning: {self._folder.metrics} is gone; its lines up to step {step} are lost")
                length, sha256 = 0, None
            self._metrics = JsonLines(self._folder.metrics, length, sha256)
            self._speed = JsonLines(self._folder.speed, length_until(self._folder.speed, step))
            self._trackers = open_trackers(trackers, self._folder.path, dict(config))

    def write(self, line: dict[str, Any]) -> None:
        """Write a line of metrics; a run that was killed and resumed writes the same lines."""
        self._write(self._metrics, line)

    def write_speed(self, line: dict[str, Any]) -> None:
        """Write a line of speed.jsonl."""
        self._write(self._speed, line)

    def _write(self, target: JsonLines | None, line: dict[str, Any]) -> None:
        if target is not None:
            target.write(line)
            for tracker in self._trackers:
                tracker.log(line, line["step"])

    def write_table(self) -> None:
        """Bring metrics.csv up to date."""
        if self._enabled:
            write_csv(self._folder.metrics)

    def position(self) -> dict[str, Any]:
        """Length and digest of metrics.jsonl, made durable: for the checkpoint."""
        found = {"bytes": 0, "sha256": ""} if self._metrics is None else self._metrics.commit()
        return {f"metrics_{name}": value for name, value in found.items()}

    def close(self) -> None:
        """Close files and trackers."""
        for log in (self._metrics, self._speed, *self._trackers):
            if log is not None:
                log.close()


class Throughput:
    """Measures how fast steps go, evaluations and checkpoints left out.

    Args:
        batch_size: Images in a global batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._steps = 0
        self._waited_s = 0.0
        self._began = 0.0
        self.seconds = 0.0

    def begin_step(self) -> None:
        """Start timing a step, the wait for its batch included."""
        self._began = time.perf_counter()

    def batch_arrived(self) -> None:
        """Count the time since the step began as waiting for images."""
        self._waited_s += time.perf_counter() - self._began

    def end_step(self) -> None:
        """Count the finished step and its time."""
        self.seconds += time.perf_counter() - self._began
        self._steps += 1

    @property
    def images_per_s(self) -> float:
        """Training images a second, all processes together."""
        return self._steps * self._batch_size / max(self.seconds, 1e-9)

    @property
    def data_wait(self) -> float:
        """The share of the time that was spent waiting for images, 0 to 1."""
        return self._waited_s / max(self.seconds, 1e-9)
