"""Optimisers from settings: torch's own, one a phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..zoo.layers import layer_depths
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


def layer_scales(student: nn.Module, settings: OptimizerSettings) -> dict[nn.Parameter, float]:
    """What each of the student's parameters scales its learning rate with; empty where all are alike.

    Raises:
        ModelError: The network does not say which layers it has.
    """
    if settings.layer_decay == 1:
        return {}
    depths = layer_depths(student)
    top = max(depths.values())
    return {
        parameter: settings.layer_decay ** (top - depths[name])
        for name, parameter in student.named_parameters()
        if name in depths
    }


def split_by_layer(group: ParameterGroup, scales: Mapping[nn.Parameter, float]) -> Iterator[ParameterGroup]:
    """A group's parameters by their scale, the smallest first; the group itself where none has one."""
    found = sorted({scales.get(parameter, 1.0) for _, parameter in group.parameters})
    if found in ([], [1.0]):
        yield group
        return
    for scale in found:
        own = [(name, parameter) for name, parameter in group.parameters if scales.get(parameter, 1.0) == scale]
        yield replace(group, name=f"{group.name}_x{scale:.3g}", parameters=own, lr_scale=group.lr_scale * scale)


def build_optimizer(
    phase: Phase, default: OptimizerSettings, scales: Mapping[nn.Parameter, float] | None = None
) -> torch.optim.Optimizer:
    """The phase's optimiser; each of its groups carries ``name`` and ``lr_scale`` for the loop.

    Args:
        phase: The phase; its own settings win.
        default: The run's settings.
        scales: See `layer_scales`.
    """
    settings = phase.optimizer or default
    groups: list[dict[str, Any]] = [
        {"params": parameters, "name": name, "lr_scale": scale, "weight_decay": decay, "lr": settings.lr * scale}
        for whole in phase.groups
        for group in split_by_layer(whole, scales or {})
        for name, parameters, scale, decay in split_by_decay(group, settings)
    ]
    # One kernel for all parameters, and no wait for fp16's scaler; torch's choice elsewhere.
    fused = True if all(parameter.is_cuda for parameter in phase_parameters([phase])) else None
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused
        )
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, betas=(settings.momentum, settings.beta2), fused=fused)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put back an optimiser's state, which may have been saved on another device.

    Kernels are those of this device, and moments are laid out as their parameters are: a fused kernel takes no others,
    and a checkpoint keeps no layout.
    """
    named = ("fused", "foreach")
    kernels = [{name: group[name] for name in named if name in group} for group in optimizer.param_groups]
    groups = [{**group, **own} for group, own in zip(state["param_groups"], kernels, strict=True)]
    optimizer.load_state_dict({**state, "param_groups": groups})
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if name != "step" and isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


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
