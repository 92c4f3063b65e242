"""``kdzoo.measure_transfer``: the verb as a function."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...base.settings import given_arguments
from .measure import TransferReport, run_transfer
from .plan import TransferRequest, make_plan


def measure_transfer(
    task: str,
    *,
    backbone: str,
    baseline: str | None = None,
    mode: str = "finetune",
    protocol: str = "meal_v2",
    solver: str = "sgd",
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    image_size: int | None = None,
    settings: dict[str, Any] | None = None,
    quick: bool = False,
    partition: int | None = None,
    search: str | None = None,
    precision: str = "fp32",
    workers: int | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    features: str | Path | None = None,
    resume: bool = False,
) -> TransferReport:
    """Measure whether a backbone carries over to another data set of classes, beside its baseline.

    Args:
        task: A data spec, such as ``"cifar100"``, ``"dtd:PATH"`` or a folder of class folders.
        backbone: A model reference.
        baseline: Another one, or ``"random"``: the same architecture from random weights.
        mode: ``finetune`` (the whole network), ``linear`` (the last layer alone) or ``knn`` (nothing).
        protocol: ``meal_v2`` or ``ssld``.
        solver: Of linear mode: ``sgd`` or ``lbfgs`` on features, ``views`` on random views.
        seeds: How many, or which ones; three by default.
        epochs: Passes over the training images, in place of the protocol's.
        batch_size: In place of the protocol's.
        lr: In place of the protocol's.
        image_size: Side of the crops, pixels, in place of the protocol's.
        settings: Any other values of the protocol, by field.
        quick: A fast look: few epochs, one seed.
        partition: 1 to 10, of dtd and sun397.
        search: ``full`` for SSLD's grid, or some values, such as ``"lr=0.1,0.01"``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: Loader processes; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: Holds runs, features and results; under ``runs/`` by default.
        features: Where features are kept; ``OUT/features`` by default.
        resume: Go on with what is in ``out``.

    Raises:
        UsageError: A value makes no sense, or two do not go together.
        DataError, ModelError: Data or a model is missing, or they do not fit.
        RunError, CheckpointError: A run cannot start or go on.
        Interrupted: SIGTERM or SIGINT came; what is finished is kept.
    """
    named = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "image_size": image_size}
    request = TransferRequest(
        task=task,
        backbone=backbone,
        baseline=baseline,
        mode=mode,
        protocol=protocol,
        solver=solver,
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else seeds,
        given=given_arguments(named, settings),
        quick=quick,
        partition=partition,
        search=search,
        precision=precision,
        workers=min(8, os.cpu_count() or 1) if workers is None else workers,
        device=device,
    )
    plan = make_plan(request)
    return run_transfer(plan, out=out or default_folder(plan.dataset), features=features, resume=resume)


def default_folder(dataset: str) -> Path:
    """Where a task's runs, features and results go by default: modes and backbones side by side."""
    return Path("runs") / ("transfer-" + re.sub(r"[^\w.-]+", "_", dataset))
