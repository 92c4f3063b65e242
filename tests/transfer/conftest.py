"""Backbones without training, and plans that are quick to carry out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from kdzoo.transfer.classification.measure import TransferReport, run_transfer
from kdzoo.transfer.classification.plan import TransferPlan, TransferRequest, make_plan
from kdzoo.zoo import load_model, save_model


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KDZOO_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_backbone(tmp_path: Path) -> Callable[..., str]:
    """``make_backbone("a", seed=1)``: a folder with a network of its own weights; returns its reference."""

    def make(name: str, seed: int = 1, num_classes: int = 5) -> str:
        loaded = load_model("cifar_resnet8", num_classes=num_classes, seed=seed)
        with torch.no_grad():
            for parameter in loaded.model.parameters():
                parameter.mul_(1.0 + 0.01 * seed)
        loaded.class_names = tuple(f"old{index}" for index in range(num_classes))
        return str(save_model(loaded, tmp_path / "backbones" / name, provenance={"data": "old", "seed": seed}))

    return make


@pytest.fixture
def make_student(tmp_path: Path) -> Callable[..., str]:
    """``make_student("a")``: a folder with a small network for large images, random weights; returns its reference."""

    def make(name: str, seed: int = 1, architecture: str = "test_resnet") -> str:
        loaded = load_model(architecture, pretrained=False, num_classes=7, seed=seed)
        return str(save_model(loaded, tmp_path / "students" / name, provenance={"data": "none", "seed": seed}))

    return make


@pytest.fixture
def quick_plan() -> Callable[..., TransferPlan]:
    """A plan of one epoch in small batches; keyword arguments as `TransferRequest`'s, or a field of the protocol."""

    def make(task: str, **arguments: Any) -> TransferPlan:
        values = {"epochs": 1, "batch_size": 8, "image_size": 32}
        known = {field.name for field in fields(TransferRequest)}
        values |= {name: value for name, value in arguments.items() if name not in known}
        given = {name: (value, "test") for name, value in values.items()}
        kept = {name: value for name, value in arguments.items() if name in known}
        return make_plan(
            TransferRequest(task=task, given=given, **{"workers": 0, "seeds": (0,), "device": "cpu", **kept})
        )

    return make


@pytest.fixture
def measure(quick_plan: Callable[..., TransferPlan]) -> Callable[..., TransferReport]:
    """Carries a quick plan out."""

    def carry_out(task: str, out: Path, *, resume: bool = False, **arguments: Any) -> TransferReport:
        return run_transfer(quick_plan(task, **arguments), out=out, resume=resume)

    return carry_out
