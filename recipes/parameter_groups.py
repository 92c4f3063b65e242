"""Which of the student's parameters are decayed, where a paper tells normalisation layers and other biases apart."""

from __future__ import annotations

from timm.layers import GroupNorm, LayerNorm
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ..engine.objective import ParameterGroup

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, LayerNorm, GroupNorm)


def norm_parameters(student: nn.Module) -> set[nn.Parameter]:
    """The scales and shifts of a network's normalisation layers."""
    norms = (module for module in student.modules() if isinstance(module, _NORMS))
    return {parameter for norm in norms for parameter in norm.parameters(recurse=False)}


def without_norm_decay(group: ParameterGroup, student: nn.Module) -> tuple[ParameterGroup, ...]:
    """A group in two: everything but normalisation layers, and these without weight decay. Other biases keep theirs."""
    norms = norm_parameters(student)
    spared = [(name, parameter) for name, parameter in group.parameters if parameter in norms]
    others = [(name, parameter) for name, parameter in group.parameters if parameter not in norms]
    if not spared:
        return (group,)
    return (
        ParameterGroup(group.name, others, group.lr_scale, group.weight_decay),
        ParameterGroup(f"{group.name}_norms", spared, group.lr_scale, 0.0),
    )
