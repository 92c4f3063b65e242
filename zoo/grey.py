"""Networks for images of one channel, made of those for three."""

from __future__ import annotations

from dataclasses import replace

import torch
from timm.models import adapt_input_conv
from torch import nn

from ..base.errors import ModelError
from .loaded import LoadedModel


def as_grey(loaded: LoadedModel) -> LoadedModel:
    """The same network for grey images; its first convolution is replaced in place.

    Weights that were loaded are summed over the channels, as timm's ``in_chans=1`` does; of random ones, the first
    channel's are kept. Mean and standard deviation become their means over the channels.

    Raises:
        ModelError: The network does not say which convolution is the first, or it is of another kind.
    """
    look = loaded.preprocessing
    if look.input_size[0] == 1:
        return loaded
    names = (getattr(loaded.model, "pretrained_cfg", None) or {}).get("first_conv") or ()
    convolutions = [loaded.model.get_submodule(name) for name in ([names] if isinstance(names, str) else names)]
    usual = [one for one in convolutions if isinstance(one, nn.Conv2d) and one.in_channels == 3 and one.groups == 1]
    if not usual or len(usual) != len(convolutions):
        raise ModelError(
            f"{loaded.architecture} has no first convolution of three channels that could take one",
            hint="leave data.grey out: grey images are shown as three equal channels",
        )
    for convolution in usual:
        weight = convolution.weight.detach()
        own = adapt_input_conv(1, weight) if loaded.pretrained else weight[:, :1]
        convolution.weight = nn.Parameter(own.clone(memory_format=torch.contiguous_format))
        convolution.in_channels = 1
    mean, std = (sum(values) / len(values) for values in (look.mean, look.std))
    return replace(loaded, preprocessing=replace(look, mean=(mean,), std=(std,)))
