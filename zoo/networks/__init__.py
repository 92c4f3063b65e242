"""Networks that timm does not have, under timm's model interface and in timm's registry.

Importing this package registers them: ``timm.create_model("cifar_resnet20")`` then works like any other timm name.
"""

from __future__ import annotations

from . import (
    binary_resnet,
    cifar_resnet,
    class_discriminator,
    lenet,
    paddle_twins,
    preact_resnet,
    pyramidnet,
    wide_resnet,
)
