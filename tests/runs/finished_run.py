"""A finished run's folder without the training: the documents that publishing reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from kdzoo.zoo import load_model, save_model, seeded
from kdzoo.zoo.weights_digest import with_digest


def replace_weights(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Give a saved model other weights, as their author would: config.json holds the digest of these from then on."""
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    written = with_digest(config, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(written, indent=2), encoding="utf-8")


def make_run(folder: Path, *, provenance: dict[str, Any] | None = None, **documents: dict[str, Any]) -> Path:
    """Write a run of a small network.

    Args:
        folder: The run.
        provenance: Changes to kdzoo's block of the model's config.json.
        documents: Changes to ``config``, ``result``, ``environment``.
    """
    loaded = load_model("cifar_resnet8", num_classes=3, seed=5)
    loaded.class_names = ("null", "eins", "zwei")
    with torch.no_grad(), seeded(5):
        for parameter in loaded.model.parameters():
            parameter.add_(0.02 * torch.rand_like(parameter))
    block = {
        "kdzoo_version": "0.1.0",
        "recipe": "meal_v2",
        "student_start": "random",
        "teachers": [{"reference": "resnet50.a1_in1k", "license": "apache-2.0"}],
        "data": "digits",
        "training_data": {"name": "digits", "split": "train", "num_images": 1437, "path": "/home/me/secret/digits"},
        "top1": 87.5,
        "top5": 100.0,
        "num_images": 360,
        "seed": 0,
    }
    save_model(loaded, folder / "model", provenance={**block, **(provenance or {})})
    data = {"name": "digits", "num_classes": 3, "path": None}
    config = {
        "recipe": "meal_v2",
        "origin": "meal_v2",
        "variants": [],
        "settings": {
            "training.epochs": {"value": 2, "source": "--epochs"},
            "optimizer.lr": {"value": 0.01, "source": "meal_v2: §6.1"},
            "teachers.models": {"value": ["/home/me/runs/teacher"], "source": "--teacher"},
        },
        "notes": [],
        "train_data": {**data, "split": "train", "num_images": 1437},
        "val_data": {**data, "split": "val", "num_images": 360},
        "teacher_reports": [{"reference": "resnet50.a1_in1k", "top1": 91.0, "num_images": 360}],
    }
    result = {"top1": 87.5, "top5": 100.0, "loss": 0.4, "num_images": 360, "epochs": 2, "steps": 44, "seconds": 30.5}
    session = {"versions": {"kdzoo": "0.1.0", "torch": "2.15.0"}, "cpu_cores": 2, "devices": [], "world_size": 1}
    for name, document in (("config", config), ("result", result), ("environment", {"sessions": [session]})):
        content = {**document, **documents.get(name, {})}
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
