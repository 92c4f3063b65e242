"""The layers of a network, counted from the images on, as timm groups them."""

from __future__ import annotations

from timm.models import group_parameters
from torch import nn

from ..base.errors import ModelError


def layer_depths(network: nn.Module) -> dict[str, int]:
    """The layer of each parameter by name: 0 for the stem's; what belongs to no layer counts with the classifier.

    Raises:
        ModelError: The network does not say which layers it has.
    """
    matcher = getattr(network, "group_matcher", None)
    if matcher is None:
        raise ModelError(
            f"{type(network).__name__} does not say which layers it has",
            hint="leave optimizer.layer_decay at 1, or use a network of timm",
        )
    depths: dict[str, int] = group_parameters(network, matcher(coarse=False), reverse=True)
    return depths
