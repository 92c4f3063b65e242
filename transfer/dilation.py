"""Keeping a classifier's last maps at a finer stride: dilation in place of its last strides, the weights unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from torch import nn

from ..base.errors import ModelError
from ..zoo import LoadedModel
from ..zoo.building import create

_BY_HAND = ("EfficientNet", "MobileNetV3")  # timm dilates them only as features_only


def dilated(loaded: LoadedModel, output_stride: int, stage_of: Mapping[str, int]) -> nn.Module:
    """The network with dilation in place of the strides beyond ``output_stride``; its weights are the same tensors'.

    Args:
        loaded: The classifier.
        output_stride: 8 or 16.
        stage_of: The stage (0 to 4) of each parameter.

    Raises:
        ModelError: The architecture cannot be dilated.
    """
    if type(loaded.model).__name__ in _BY_HAND:
        _dilate(loaded.model, output_stride, stage_of)
        return loaded.model
    hint = "use --output-stride 32"
    with contextlib.suppress(ModelError):
        network = create(
            loaded.architecture,
            loaded.reference,
            num_classes=loaded.num_classes,
            output_stride=output_stride,
            **loaded.model_args,
        )
        try:
            network.load_state_dict(loaded.model.state_dict())
        except RuntimeError as error:
            line = " ".join(str(error).split())[:200]
            raise RuntimeError(f"{loaded.architecture} changes its weights when it is dilated: {line}") from error
        return network
    raise ModelError(f"{loaded.architecture} cannot be dilated to an output stride of {output_stride}", hint=hint)


def _dilate(network: nn.Module, output_stride: int, stage_of: Mapping[str, int]) -> None:
    """In a network of one path: a strided convolution keeps the dilation before it, what follows gets the new one."""
    for name, module in network.named_modules():
        stage = stage_of.get(f"{name}.weight")
        if not isinstance(module, nn.Conv2d) or stage is None:
            continue
        rate = max(1, 2 ** (stage + 1) // output_stride)
        if rate > 1 and module.stride == (2, 2):
            module.stride = (1, 1)
            rate //= 2
        if rate > 1 and module.kernel_size[0] > 1:
            module.dilation = (rate, rate)
            if any(module.padding):  # timm's Conv2dSame pads by itself
                module.padding = (rate * (module.kernel_size[0] // 2), rate * (module.kernel_size[1] // 2))
