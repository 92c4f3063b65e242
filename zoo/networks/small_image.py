"""What the networks for small images share: timm's model interface around a pooled linear classifier.

A network gives ``forward_features`` and a few attributes; the rest of timm's interface is here, once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from timm.layers import SelectAdaptivePool2d
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)


def cifar_default_cfgs(names: Iterable[str], **changes: Any) -> Any:
    """timm's default configurations for networks that see 32x32 images; none has published weights.

    Args:
        names: Architectures.
        changes: Entries that differ from the CIFAR-10 ones.
    """
    record: dict[str, Any] = {
        "input_size": (3, 32, 32),
        "num_classes": 10,
        "pool_size": (8, 8),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": CIFAR_MEAN,
        "std": CIFAR_STD,
        "first_conv": "conv1",
        "classifier": "fc",
    }
    return generate_default_cfgs({name: {**record, **changes} for name in names})


class SmallImageNet(nn.Module):
    """timm's interface around a subclass's ``forward_features``.

    Args:
        num_features: Channels of the last feature map.
        num_classes: Outputs of the classifier; 0 for none. timm passes that of the network's default configuration.
        in_chans: Channels of the images.
        global_pool: timm's name of the pooling; ``""`` for none.
        drop_rate: Dropout between the pooled features and the classifier.

    Attributes:
        feature_info: timm's description of the stages, read by ``features_only=True``.
    """

    feature_info: list[dict[str, Any]]

    def __init__(
        self,
        num_features: int,
        *,
        num_classes: int = 10,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_features = self.head_hidden_size = num_features
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.drop_rate = drop_rate
        self.pool_type = global_pool
        self.grad_checkpointing = False

    def add_stages(
        self, channels: int, widths: Sequence[int], blocks: int, make_block: Callable[[int, int, int], nn.Module]
    ) -> None:
        """Add ``layer1``, ``layer2``, …, each of so many blocks; every stage but the first halves the resolution.

        Args:
            channels: Of the first stage's input.
            widths: Channels of each stage.
            blocks: Of each stage.
            make_block: (channels in, channels out, stride) to a block.
        """
        self.feature_info = []
        for stage, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                layers.append(make_block(channels, width, 2 if stage > 0 and block == 0 else 1))
                channels = width
            name = f"layer{stage + 1}"
            self.add_module(name, nn.Sequential(*layers))
            self.feature_info.append({"num_chs": width, "reduction": 2**stage, "module": name})

    def forward_stages(self, x: Tensor) -> Tensor:
        """The stages one after the other."""
        for stage in self.feature_info:
            x = getattr(self, stage["module"])(x)
        return x

    def build_head(self) -> None:
        """Add pooling and classifier; called last, so that they come last in the state dict."""
        self.global_pool = SelectAdaptivePool2d(pool_type=self.pool_type, flatten=bool(self.pool_type))
        self.fc: nn.Module = nn.Identity()
        if self.num_classes:
            self.fc = nn.Linear(self.num_features * self.global_pool.feat_mult(), self.num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last feature map (B, num_features, h, w)."""
        raise NotImplementedError

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map to logits (B, num_classes), or to pooled features with ``pre_logits``."""
        x = self.global_pool(x)
        if self.drop_rate:
            x = functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new last layer for ``num_classes`` (0 for none), and another pooling if named."""
        self.num_classes = num_classes
        self.pool_type = self.pool_type if global_pool is None else global_pool
        self.build_head()

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Regular expressions that order the parameters by depth, for layer-wise learning rates."""
        return {"stem": r"^conv1|^bn1", "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Refused: these networks are too small to need it."""
        if enable:
            raise NotImplementedError("gradient checkpointing is not offered for networks this small")


def with_head_pose(features: Tensor, head_pose: Tensor | None, numbers: int) -> Tensor:
    """Features (B, D) with so many numbers of head pose behind them, (B, D + numbers).

    Raises:
        ValueError: There is no head pose, or one that the network was not built for.
    """
    if (head_pose is not None) != (numbers > 0):
        raise ValueError(f"this network was built for {numbers} numbers of head pose")
    return features if head_pose is None else torch.cat([features, head_pose.to(features)], dim=1)


Arguments = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""Of a network, or what makes them anew for each."""


def register(module: str, network: type[nn.Module], architectures: Mapping[str, tuple[str, Arguments]]) -> None:
    """Register architectures of one network with timm, as its ``register_model`` does for functions written by hand.

    Args:
        module: Name of the module, which holds their ``default_cfgs``.
        network: Their class.
        architectures: What each is, in a line, and its arguments, by name.
    """
    for name, (summary, arguments) in architectures.items():
        function = _entry_point(network, name, arguments)
        function.__name__, function.__qualname__, function.__doc__, function.__module__ = name, name, summary, module
        setattr(sys.modules[module], name, register_model(function))


def _entry_point(network: type[nn.Module], name: str, arguments: Arguments) -> Any:
    def build(pretrained: bool = False, **kwargs: Any) -> Any:
        given = {**(arguments() if callable(arguments) else arguments), **kwargs}
        if issubclass(network, SmallImageNet):
            stages = len(given["widths"]) - 1 if "widths" in given else 3
            given = {"feature_cfg": {"out_indices": tuple(range(stages))}, **given}
        return build_model_with_cfg(network, name, pretrained, **given)

    return build
