"""Optimisers from settings: torch's own, one a phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .objective import ParameterGroup, Phase
from .settings import OptimizerSettings


def split_by_decay(
    group: ParameterGroup, settings: OptimizerSettings
) -> list[tuple[str, list[nn.Parameter], float, float]]:
    """A group's parameters as (name, parameters, lr scale, weight decay), norms and biases apart where they are not
    decayed."""
    decay = settings.weight_decay if group.weight_decay is None else group.weight_decay
    if settings.decay_norm_and_bias or decay == 0:
        return [(group.name, [p for _, p in group.parameters], group.lr_scale, decay)]
    matrices = [p for _, p in group.parameters if p.ndim > 1]
    vectors = [p for _, p in group.parameters if p.ndim <= 1]
    halves = [(group.name, matrices, group.lr_scale, decay), (f"{group.name}_no_decay", vectors, group.lr_scale, 0.0)]
    return [half for half in halves if half[1]]


def build_optimizer(phase: Phase, default: OptimizerSettings) -> torch.optim.Optimizer:
    """The phase's optimiser; each of its groups carries ``name`` and ``lr_scale`` for the loop.

    Args:
        phase: The phase; its own settings win.
        default: The run's settings.
    """
    settings = phase.optimizer or default
    groups: list[dict[str, Any]] = [
        {"params": parameters, "name": name, "lr_scale": scale, "weight_decay": decay, "lr": settings.lr * scale}
        for group in phase.groups
        for name, parameters, scale, decay in split_by_decay(group, settings)
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, betas=(settings.momentum, settings.beta2))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's rate to ``lr`` times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def phase_parameters(phases: Sequence[Phase]) -> list[nn.Parameter]:
    """Every parameter that some phase moves, each once, in the phases' order."""
    seen: dict[int, nn.Parameter] = {}
    for phase in phases:
        for group in phase.groups:
            for _, parameter in group.parameters:
                seen.setdefault(id(parameter), parameter)
    return list(seen.values())
