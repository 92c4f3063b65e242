"""Parameter groups of a dense network: the backbone's stages with their own rates, norms without decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.modules.instancenorm._InstanceNorm)


def parameter_groups(
    model: nn.Module,
    *,
    stage_of: Mapping[str, int],
    multipliers: Sequence[float] = (),
    weight_decay: float,
    weight_decay_norm: float | None = None,
    head_multiplier: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups for torch's optimisers of everything that learns, each with ``name``, ``lr_scale`` and ``weight_decay``.

    Args:
        model: The whole network.
        stage_of: The backbone stage (0 to 4) of each of its parameters, by the name in ``model``; what is not there is
            the head's.
        multipliers: Rate of each backbone stage, stem first, as a factor on the base rate; none for 1 everywhere.
        weight_decay: Of all weights.
        weight_decay_norm: Of normalisation layers' weights and biases; ``weight_decay`` where None.
        head_multiplier: Rate of what is not the backbone's.
    """
    norm = weight_decay if weight_decay_norm is None else weight_decay_norm
    groups: dict[tuple[str, float, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            stage = stage_of.get(name)
            scale = head_multiplier if stage is None else (multipliers[stage] if multipliers else 1.0)
            decay = norm if isinstance(module, _NORMS) else weight_decay
            where = "head" if stage is None else f"stage{stage}"
            groups.setdefault((where if multipliers or stage is None else "backbone", scale, decay), []).append(
                parameter
            )
    return [
        {"params": parameters, "name": name, "lr_scale": scale, "weight_decay": decay}
        for (name, scale, decay), parameters in groups.items()
    ]
