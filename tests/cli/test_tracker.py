"""``--tracker tensorboard``: what the run's own files say can be read with TensorBoard's reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transfer_trees import class_folders


def test_tensorboard_gets_every_number_of_the_metrics(kdzoo: Callable[..., Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = kdzoo(
        *("train", "--model", "cifar_resnet8", "--data", str(class_folders(tmp_path / "data")), "--epochs", "2"),
        *("--image-size", "16", "--batch-size", "6", "--workers", "0", "--device", "cpu", "--out", "run"),
        *("--tracker", "tensorboard", "--set", "training.log_every_steps=1"),
    )
    assert made.code == 0, made.err
    events = EventAccumulator("run/tensorboard")
    events.Reload()
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    for tag, kind, key in (("train/loss", "train", "loss"), ("eval/student/top1", "eval", "top1")):
        expected = [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in lines if line["kind"] == kind]
        assert [(event.step, event.value) for event in events.Scalars(tag)] == expected
        assert len(expected) >= 2
