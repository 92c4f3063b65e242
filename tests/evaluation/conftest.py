"""Run folders as the engine leaves them, written by hand, so that a report is tested without a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdzoo.evaluation.results import MeasuredModel, PerClass, Predictions, Result, write_result

EPOCHS, STEPS = 30, 22
TEACHERS = [
    {"reference": "runs/resnet14", "top1": 97.5, "promised_top1": 97.78, "num_images": 360, "licence": "apache-2.0"},
    {"reference": "runs/wrn_16_1", "top1": 96.94, "promised_top1": None, "num_images": 360, "licence": None},
    {"reference": "ensemble", "top1": 98.33, "promised_top1": None, "num_images": 360, "licence": None},
]


def config() -> dict[str, Any]:
    """What config.json holds."""
    return {
        "recipe": "meal_v2",
        "variants": [],
        "settings": {
            "student.model": {"value": "cifar_resnet8", "source": "--student"},
            "student.init": {"value": "random", "source": "data: no pretrained weights"},
            "teachers.models": {"value": ["runs/resnet14", "runs/wrn_16_1"], "source": "--teacher"},
            "data.dataset": {"value": "digits", "source": "--data"},
            "data.val_dataset": {"value": None, "source": "recipe: the data set's own validation split"},
            "data.augmentation.scale": {"value": [0.08, 1.0], "source": "recipe: §6"},
            "training.epochs": {"value": EPOCHS, "source": "KDZOO_EPOCHS"},
            "training.channels_last": {"value": True, "source": "kdzoo default"},
            "optimizer.lr": {"value": 0.01, "source": "recipe: §6.1"},
            "objective.discriminator": {"value": "few_classes", "source": "recipe: ours, the paper's needs 64 classes"},
            "run.seed": {"value": 0, "source": "kdzoo default"},
        },
        "notes": ["linear scaling would give a learning rate of 0.00125"],
        "warnings": [],
        "class_names": [str(digit) for digit in range(10)],
        "train_data": {"name": "digits", "split": "train", "num_images": 1437, "num_classes": 10, "path": None},
        "val_data": {"name": "digits", "split": "val", "num_images": 360, "num_classes": 10, "path": None},
        "teachers": [report["reference"] for report in TEACHERS[:2]],
        "teacher_reports": TEACHERS,
    }


def session() -> dict[str, Any]:
    """One entry of environment.json."""
    return {
        "started": "2026-01-02T03:04:05+00:00",
        "command": ["/usr/bin/kdzoo", "distill", "--recipe", "meal_v2", "--out", "runs/my run"],
        "python": "3.12.1",
        "platform": "Linux-6.1-x86_64-with-glibc2.36",
        "versions": {"kdzoo": "0.1.0", "torch": "2.10.0", "timm": "1.0.26"},
        "cpu_cores": 2,
        "torch_threads": 2,
        "devices": [],
        "world_size": 1,
        "git_revision": None,
    }


def metrics(epochs: int) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl: a run that learns, with an average of the weights."""
    lines: list[dict[str, Any]] = []
    for epoch in range(epochs):
        for step in (11, 22):
            done = epoch * STEPS + step
            soft = 0.25 + 2 * math.exp(-done / 90) + 0.06 * math.sin(done * 1.7)
            critic = 0.693 - 0.1 * (1 - math.exp(-done / 300))
            lr = 0.01 if epoch < 20 else 0.001
            terms = {"soft_label": soft, "discriminator": critic}
            lines.append({"kind": "train", "epoch": epoch, "step": done, "lr": lr, "loss": soft + critic, **terms})
        for model, lag in (("student", 0.0), ("ema", 1.5)):
            top1 = 96.4 - 80 * math.exp(-(epoch + 1 - min(lag, epoch)) / 3)
            line = {"top1": top1, "top5": 100 - (100 - top1) / 6, "loss": 0.12 + 2 * math.exp(-epoch / 4)}
            where = {"kind": "eval", "epoch": epoch + 1, "step": (epoch + 1) * STEPS, "model": model}
            lines.append({**where, **line, "num_images": 360})
    return lines


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """A JSON-lines file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run folder: ``make_run(name, epochs=…, config_changes=…)``; fewer epochs than planned is unfinished."""

    def make(name: str = "run", *, epochs: int = EPOCHS, **changes: Any) -> Path:
        folder = tmp_path / name
        (folder / "model").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({**config(), **changes}), encoding="utf-8")
        (folder / "environment.json").write_text(json.dumps({"sessions": [session()]}), encoding="utf-8")
        lines = metrics(epochs)
        write_lines(folder / "metrics.jsonl", lines)
        train = [line for line in lines if line["kind"] == "train"]
        speeds = [{"images_per_s": 900 + 30 * math.sin(i), "data_wait": 0.04 + 0.02 * math.cos(i)} for i in range(9999)]
        write_lines(
            folder / "speed.jsonl",
            [
                {"kind": "speed", "epoch": t["epoch"], "step": t["step"], **s}
                for t, s in zip(train, speeds, strict=False)
            ],
        )
        if epochs == EPOCHS:
            (folder / "model" / "config.json").write_text(json.dumps({"architecture": "cifar_resnet8"}))
            last = {key: lines[-1][key] for key in ("top1", "top5", "loss", "num_images")}
            counts = {"epochs": epochs, "steps": epochs * STEPS, "images_per_s": 912.3, "seconds": 46.8}
            result = {
                "run": str(folder),
                "model": str(folder / "model"),
                **last,
                **counts,
                "best_top1": 97.2,
                "unreadable": 0,
            }
            (folder / "result.json").write_text(json.dumps(result))
        return folder

    return make


NAMES = ("cat", "dog", "wolf", "tench")
LOOK = {"image_size": 32, "mean": [0.5], "std": [0.2], "interpolation": "bilinear", "crop_pct": 1.0, "crops": 1}


@pytest.fixture
def write_answers() -> Callable[..., Path]:
    """``write_answers(folder, reference, skill, **changes)``: a model right on that share of 400 images of 4 classes.

    Cats and dogs are taken for each other, so these are its similar classes. ``keep=False`` keeps no answers.
    """

    def write(folder: Path, reference: str, skill: float, *, keep: bool = True, **changes: Any) -> Path:
        labels = np.arange(400) % 4
        rng = np.random.default_rng(7)  # the same easy images for every model
        right = rng.random(400) < skill
        partner = np.array([1, 0, 3, 2])[labels]
        stray = (labels + 2) % 4
        wrong = np.where((labels < 2) | (rng.random(400) < 0.1), partner, stray)
        first = np.where(right, labels, wrong)
        top5 = np.full((400, 5), -1)
        top5[:, 0] = first
        confidence = np.clip(0.5 + 0.5 * rng.random(400), 0, 1)
        values = tuple(float(100 * right[labels == c].mean()) for c in range(4))
        bins = [
            {"low": k / 5, "high": (k + 1) / 5, "count": 80, "confidence": 20.0 * k + 10, "accuracy": 18.0 * k + 15}
            for k in range(5)
        ]
        fields: dict[str, Any] = {
            "task": "classification",
            "dataset": "photos",
            "split": "val",
            "num_images": 400,
            "model": MeasuredModel(reference=reference, parameters=int(1000 * skill), macs=int(9000 * skill)),
            "protocol": "32 px, crop_pct 1, bilinear, centre crop, each image once",
            "metrics": {"top1": float(100 * right.mean()), "loss": 1.5 - skill},
            "settings": LOOK,
            "data_fingerprint": "f" * 8,
            "per_class": (PerClass(metric="top1", names=NAMES, values=values, counts=(100,) * 4),),
            "details": {
                "reliability": bins,
                "throughput": {"network_images_per_s": 900.0 - 400 * skill, "device": "cpu"},
            },
        }
        answers = Predictions(
            labels=labels, top5=top5, confidence=confidence, correct=right, counted=np.ones(400, dtype=bool)
        )
        return write_result(folder, Result(**{**fields, **changes}), answers if keep else None)

    return write
