"""A run small enough for a test, with real images and a real network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdzoo.data import Augmentation, EvalTransform, ImageSource, Mixing, open_source
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.objective import Objective, Phase, StepView, student_group
from kdzoo.engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))


class HardLabels(Objective):
    """Cross-entropy with the labels."""

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        return {"hard_label": nn.functional.cross_entropy(step.student().logits, step.labels)}


MakeJob = Callable[..., TrainJob]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Makes a job on the embedded digits; keyword arguments replace its fields."""

    def make(*, train_source: ImageSource | None = None, epochs: int = 1, **changes: Any) -> TrainJob:
        fields: dict[str, Any] = {
            "student": load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=0),
            "objective": HardLabels(),
            "teachers": None,
            "train_source": train_source or open_source("digits", "train"),
            "val_source": open_source("digits", "val"),
            "augmentation": Augmentation(image_size=16),
            "mixing": Mixing(),
            "eval_transform": EvalTransform(image_size=16, crop_pct=1.0, interpolation="bilinear"),
            "training": TrainingSettings(epochs=epochs, batch_size=256, log_every_steps=2, checkpoint_every_steps=2),
            "optimizer": OptimizerSettings(name="sgd", lr=0.05, momentum=0.9, weight_decay=0.0),
            "schedule": ScheduleSettings(name="constant"),
            "seed": 0,
            "workers": 0,
            "out": tmp_path / "run",
            "resume": False,
            "config": {"settings": {}},
            "fixed": {"optimizer.lr": 0.05},
        }
        return TrainJob(**{**fields, **changes})

    return make
