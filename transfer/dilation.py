"""Keeping a classifier's last maps at a finer stride: dilation in place of its last strides, the weights unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from timm.layers import AvgPool2dSame, to_2tuple
from timm.models.resnet import BasicBlock
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
    hint = "use --set output_stride=32"
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
        _as_frameworks(network)
        return network
    raise ModelError(f"{loaded.architecture} cannot be dilated to an output stride of {output_stride}", hint=hint)


def changes_when_dilated(network: nn.Module) -> bool:
    """Whether timm's own dilation of a network, before `dilated` dilates it, is another than mmsegmentation's."""
    return any(isinstance(module, BasicBlock | nn.AvgPool2d) for module in network.modules())


def _as_frameworks(network: nn.Module) -> None:
    """Take away what timm adds to dilated stages and mmsegmentation does not (models/utils/res_layer.py and resnet.py).

    A -D shortcut pools only where it strides, as in PaddleSeg (models/backbones/resnet_vd.py); the second convolution
    of a basic block is never dilated.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, AvgPool2dSame) and to_2tuple(module.stride) == (1, 1):
            network.set_submodule(name, nn.Identity())
        elif isinstance(module, BasicBlock):
            module.conv2.dilation = module.conv2.padding = (1, 1)


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
