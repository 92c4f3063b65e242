"""Runs the grid behind docs/defaults.md.

    python benchmarks/defaults.py --data FOLDER --out FOLDER [--only GLOB] [--table]

Each arm is one training on images of a training split alone, a fifth of which is held out again: no validation or test
image is ever read. Finished runs are kept in OUT/results.jsonl, so that the same command goes on where it was. FOLDER
holds ``clothing`` (class folders of photographs, github.com/alexeygrigorev/clothing-dataset-small), ``cifar10`` (class
folders of CIFAR-10 images below ``train``) and ``lite0.safetensors`` (tf_efficientnet_lite0's ImageNet weights); what
is missing is left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image

import kdzoo

HELD_OUT = "@val-share=0.2"
FEW = 100
"""Images a class of the small CIFAR set."""


@dataclass(frozen=True)
class Arm:
    """One training of the grid.

    Attributes:
        data: The set: clothing, cifar, cifar-few, digits.
        model: A model reference; ``lite0`` for the ImageNet weights.
        name: What differs from the group's first arm.
        settings: What it is trained with.
        image_size: Pixels.
    """

    data: str
    model: str
    name: str
    settings: Mapping[str, Any]
    image_size: int

    @property
    def group(self) -> str:
        """Arms of one group are compared."""
        return f"{self.data}/{self.model}/{self.image_size}"


COMMON: dict[str, Any] = {
    "data.augmentation.color_jitter": None,
    "data.augmentation.lighting_std": 0.0,
    "data.augmentation.crop": "random_resized",
    "data.mean": "model",
    "data.std": "model",
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": True,
    "schedule.name": "cosine",
    "schedule.milestones": (),
    "schedule.warmup_start": 0.0,
    "schedule.final": 0.0,
    "schedule.update": "step",
    "training.log_every_steps": 50,
}


def _settings(**changes: Any) -> dict[str, Any]:
    """The common settings and some changes by short names."""
    names = {
        "lr": "optimizer.lr",
        "optimizer": "optimizer.name",
        "decay": "optimizer.weight_decay",
        "batch": "training.batch_size",
        "epochs": "training.epochs",
        "crop": "data.augmentation.crop",
        "scale": "data.augmentation.scale",
        "smoothing": "objective.label_smoothing",
        "mixup": "data.mixing.mixup_prob",
        "alpha": "data.mixing.mixup_alpha",
        "cutmix": "data.mixing.cutmix_prob",
        "crop_pct": "data.evaluation.crop_pct",
        "flip": "data.augmentation.hflip_prob",
        "jitter": "data.augmentation.color_jitter",
    }
    settings = {**COMMON, **{names[name]: value for name, value in changes.items() if name in names}}
    settings["schedule.warmup_epochs"] = 0.05 * settings["training.epochs"]
    return settings


def _around(data: str, model: str, size: int, base: dict[str, Any], *changes: dict[str, Any]) -> Iterator[Arm]:
    """The base and the base with each of some changes."""
    for change in ({}, *changes):
        name = " ".join(f"{key}={value}" for key, value in change.items()) or "base"
        yield Arm(data, model, name, _settings(**{**base, **change}), size)


def grid() -> list[Arm]:
    """Every arm, those that decide most first."""
    tuned = {
        "optimizer": "sgd", "lr": 0.01, "decay": 1e-4, "batch": 32, "epochs": 5, "scale": (0.35, 1.0), "smoothing": 0.1,
        "crop_pct": 0.95,
    }  # fmt: skip
    drawn = {
        "optimizer": "sgd", "lr": 0.1, "decay": 5e-4, "batch": 64, "epochs": 24, "scale": (0.35, 1.0), "smoothing": 0.0,
        "crop_pct": 1.0,
    }  # fmt: skip
    return [
        *_around(
            "clothing", "lite0", 96, tuned,
            {"lr": 0.03}, {"lr": 0.003}, {"optimizer": "adamw", "lr": 5e-4, "decay": 0.05},
            {"scale": (0.08, 1.0)}, {"epochs": 10}, {"batch": 16, "lr": 0.01}, {"batch": 64, "lr": 0.02},
            {"smoothing": 0.0}, {"mixup": 1.0, "alpha": 0.2}, {"decay": 1e-3}, {"lr": 0.1},
        ),
        *_around(
            "cifar", "cifar_resnet20", 32, drawn,
            {"crop": "pad4"}, {"lr": 0.05}, {"lr": 0.2}, {"decay": 1e-3}, {"decay": 1e-4}, {"batch": 128, "lr": 0.2},
            {"batch": 32, "lr": 0.05}, {"mixup": 1.0, "alpha": 0.2}, {"smoothing": 0.1}, {"epochs": 48},
        ),
        *_around(
            "cifar-few", "cifar_resnet20", 32, {**drawn, "epochs": 120, "batch": 32, "lr": 0.05},
            {"crop": "pad4"}, {"lr": 0.1}, {"lr": 0.02}, {"decay": 1e-3}, {"epochs": 240}, {"epochs": 60},
            {"mixup": 1.0, "alpha": 0.2},
        ),
        *_around(
            "clothing", "cifar_resnet20", 64, {**drawn, "epochs": 30, "batch": 32, "lr": 0.05},
            {"lr": 0.1}, {"lr": 0.02}, {"mixup": 1.0, "alpha": 0.2}, {"epochs": 60}, {"scale": (0.08, 1.0)},
        ),
        *_around(
            "digits", "cifar_resnet20", 32, {**drawn, "epochs": 30, "batch": 32, "lr": 0.05, "flip": 0.0},
            {"crop": "pad4"}, {"lr": 0.1}, {"lr": 0.02}, {"epochs": 60},
        ),
        *_around("cifar", "lite0", 64, {**tuned, "epochs": 3}, {"lr": 0.03}, {"lr": 0.003}, {"crop_pct": 1.0}),
    ]  # fmt: skip


def _digits(folder: Path) -> None:
    """The embedded digits' training images as class folders."""
    from kdzoo.data import open_source

    source = open_source("digits", "train")
    for index in range(len(source)):
        path = folder / str(source.labels[index]) / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = source.load(index)
        (image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))).save(path)


def _few(source: Path, folder: Path) -> None:
    """The first images of each class, in a seeded order."""
    for class_folder in sorted(path for path in source.iterdir() if path.is_dir()):
        files = sorted(class_folder.iterdir())
        (folder / class_folder.name).mkdir(parents=True)
        for position in np.random.default_rng(0).permutation(len(files))[:FEW]:
            shutil.copy(files[position], folder / class_folder.name)


def _data(name: str, data: Path, out: Path) -> str | None:
    """The spec of a set; None where its images are not there."""
    at = {"clothing": data / "clothing/train", "cifar": data / "cifar10/train"}.get(name, out / name)
    if not at.is_dir():
        if name == "digits":
            _digits(at)
        elif name == "cifar-few" and (data / "cifar10/train").is_dir():
            _few(data / "cifar10/train", at)
    return f"{at}{HELD_OUT}" if at.is_dir() else None


def _run(arm: Arm, seed: int, data: Path, out: Path) -> dict[str, Any] | None:
    """Train one arm; None where its images or weights are missing."""
    spec = _data(arm.data, data, out)
    weights = data / "lite0.safetensors"
    if spec is None or (arm.model == "lite0" and not weights.is_file()):
        return None
    model = f"tf_efficientnet_lite0={weights}" if arm.model == "lite0" else arm.model
    folder = out / "run"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    init = "pretrained" if arm.model == "lite0" else "random"
    settings = {**arm.settings, "student.init": init}
    shared = {"data": spec, "image_size": arm.image_size, "seed": seed, "workers": 0, "exact": True}
    result = kdzoo.train(model, recipe="supervised", settings=settings, out=folder, **shared)
    seconds = time.process_time() - began
    return {"group": arm.group, "arm": arm.name, "seed": seed, "top1": result.metrics["top1"], "cpu_s": round(seconds)}


def table(found: list[dict[str, Any]]) -> str:
    """Arms by group, the mean over seeds and its spread, as Markdown."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        groups[row["group"]][row["arm"]].append(row)
    lines = []
    for group, arms in groups.items():
        lines += [f"\n{group}\n", "| arm | held-out top-1 % | seeds | CPU s |", "|---|---|---|---|"]
        for arm, rows in sorted(arms.items(), key=lambda item: -mean(row["top1"] for row in item[1])):
            values = [row["top1"] for row in rows]
            spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
            cpu = mean(row["cpu_s"] for row in rows)
            lines.append(f"| {arm} | {mean(values):.2f}{spread} | {len(values)} | {cpu:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is not finished, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="*", help="of GROUP:ARM")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.jsonl"
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if options.table:
        print(table(found))
        return
    done = {(row["group"], row["arm"], row["seed"]) for row in found}
    for seed in range(options.seeds):
        for arm in grid():
            if (arm.group, arm.name, seed) in done or not fnmatch.fnmatch(f"{arm.group}:{arm.name}", options.only):
                continue
            row = _run(arm, seed, options.data, options.out)
            if row is not None:
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
