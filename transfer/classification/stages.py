"""The stages of a backbone from its stem to its last block, for learning rates that differ by stage."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models import group_parameters
from torch import nn

from ...base.errors import ModelError, UsageError
from ...engine.objective import ParameterGroup
from .protocols import STAGE_LR, STAGE_LR_MOBILENET_V3_LARGE

NUM_STAGES = 5
_BLOCKS_A_STAGE = 3  # of MobileNetV3-L in PaddleClas: 15 blocks, five multipliers


def stage_multipliers(text: str, architecture: str) -> tuple[float, ...] | None:
    """The multipliers that a setting means for an architecture; None for 1 everywhere.

    Args:
        text: ``none``, ``auto``, or five numbers with commas.
        architecture: timm's name.

    Raises:
        UsageError: It is none of these.
    """
    if text == "none":
        return None
    if text == "auto":
        return STAGE_LR_MOBILENET_V3_LARGE if _is_mobilenet_v3_large(architecture) else STAGE_LR
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != NUM_STAGES or not all(0 <= number <= 1e3 for number in numbers):
        raise UsageError(
            f"--stage-lr {text!r} is not five multipliers",
            hint="write none, auto, or five numbers: 0.1,0.1,0.2,0.2,0.3",
        )
    return numbers


def classifier_parameters(model: nn.Module) -> set[nn.Parameter]:
    """The parameters of a network's last layer (of both, where it has two)."""
    network: object = model
    found = network.get_classifier()  # type: ignore[attr-defined]
    modules = found if isinstance(found, tuple | list) else [found]
    return {parameter for module in modules for parameter in module.parameters()}


def stage_groups(model: nn.Module, multipliers: Sequence[float], architecture: str) -> tuple[ParameterGroup, ...]:
    """A network's parameters by stage, with the new classifier at the full rate.

    Stages are timm's: stem and four stages of a residual network. Where a network has more or fewer, they are spread
    evenly over the five; MobileNetV3-L's fifteen blocks go in threes, as in PaddleClas.

    Raises:
        ModelError: The architecture does not say which parameters are deeper.
    """
    depths = _depths(model, fine=_is_mobilenet_v3_large(architecture))
    head = classifier_parameters(model)
    grouped: dict[int, list[tuple[str, nn.Parameter]]] = {}
    last: list[tuple[str, nn.Parameter]] = []
    for name, parameter in model.named_parameters():
        if parameter in head:
            last.append((name, parameter))
        else:
            grouped.setdefault(depths[name], []).append((name, parameter))
    if _is_mobilenet_v3_large(architecture):  # 0 is the stem, then the blocks, then the convolutions after them
        stage_of = {depth: min(max(depth - 1, 0) // _BLOCKS_A_STAGE, NUM_STAGES - 1) for depth in grouped}
    else:
        deepest = max(grouped)
        stage_of = {depth: round(depth * (NUM_STAGES - 1) / max(deepest, 1)) for depth in grouped}
    stages: dict[int, list[tuple[str, nn.Parameter]]] = {}
    for depth, members in sorted(grouped.items()):
        stages.setdefault(stage_of[depth], []).extend(members)
    groups = [ParameterGroup(f"stage{stage}", members, multipliers[stage]) for stage, members in stages.items()]
    return (*groups, ParameterGroup("classifier", last))


def _is_mobilenet_v3_large(architecture: str) -> bool:
    """Whether it is MobileNetV3-L; timm calls those with TensorFlow's padding ``tf_``."""
    return architecture.removeprefix("tf_").startswith("mobilenetv3_large")


def _depths(model: nn.Module, *, fine: bool) -> dict[str, int]:
    """The depth of every parameter, 0 for the stem."""
    matcher = getattr(model, "group_matcher", None)
    if matcher is None:
        raise ModelError(
            f"{type(model).__name__} does not say which of its parameters are deeper (timm's group_matcher)",
            hint="--stage-lr none gives every stage the same learning rate",
        )
    found: dict[str, int] = group_parameters(model, matcher(coarse=not fine), reverse=True)
    return found
