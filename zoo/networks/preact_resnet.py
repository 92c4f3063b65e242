"""Pre-activation ResNets: the gaze teacher of XCL and the CIFAR forms.

He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv 1603.05027. XCL's supplement
calls its teacher a 9-layer network; the public MPIIGaze code has one of depth 8 (6n + 2, n = 1), which is what
``gaze_preact_resnet8`` is. No basic-block network of three stages has 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .small_image import SmallImageNet, cifar_default_cfgs, register, with_head_pose


class _PreActBlock(nn.Module):
    """BN-ReLU-3×3-BN-ReLU-3×3. Where the width changes, a 1×1 shortcut starts from the activated input."""

    def __init__(self, in_channels: int, channels: int, stride: int, activated_identity: bool) -> None:
        super().__init__()
        self.activated_identity = activated_identity
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        widens = in_channels != channels
        self.shortcut = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False) if widens else None

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        if self.shortcut is not None:
            return out + self.shortcut(activated)
        return out + (activated if self.activated_identity else x)


class PreActResNet(SmallImageNet):
    """A 3×3 stem and stages of pre-activation blocks; each stage but the first halves the image.

    Args:
        blocks: Blocks a stage.
        widths: Channels of the stem and of each stage.
        head_pose_dim: Numbers of head pose that are appended to the pooled features before the last layer.
        activated_identity: Start identity shortcuts from the activated input too, as the public MPIIGaze code does.
        head: ``num_classes``, ``in_chans``, ``global_pool`` and ``drop_rate`` of SmallImageNet.
    """

    def __init__(
        self,
        blocks: int,
        widths: Sequence[int],
        head_pose_dim: int = 0,
        activated_identity: bool = False,
        **head: Any,
    ) -> None:
        super().__init__(widths[-1], **head)
        self.head_pose_dim = head_pose_dim
        self.conv1 = nn.Conv2d(self.in_chans, widths[0], 3, padding=1, bias=False)
        self.add_stages(widths[0], widths[1:], blocks, partial(_PreActBlock, activated_identity=activated_identity))
        self.bn = nn.BatchNorm2d(widths[-1])
        self.build_head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def build_head(self) -> None:
        super().build_head()
        if self.num_classes:
            pooled = self.num_features * self.global_pool.feat_mult()
            self.fc = nn.Linear(pooled + self.head_pose_dim, self.num_classes)
            nn.init.zeros_(self.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, in_chans, H, W) to the last stage's output after its BatchNorm and ReLU."""
        return F.relu(self.bn(self.forward_stages(self.conv1(x))))

    def forward_head(self, x: Tensor, pre_logits: bool = False, head_pose: Tensor | None = None) -> Tensor:
        """Feature maps to (B, num_classes), or to the pooled features (without the head pose)."""
        pooled = super().forward_head(x, pre_logits=True)
        if pre_logits:
            return pooled
        return self.fc(with_head_pose(pooled, head_pose, self.head_pose_dim))

    def forward(self, x: Tensor, head_pose: Tensor | None = None) -> Tensor:
        """Images, and (B, head_pose_dim) head poses where the network takes them, to (B, num_classes)."""
        return self.forward_head(self.forward_features(x), head_pose=head_pose)


_CIFAR100 = {"num_classes": 100, "mean": (0.5071, 0.4867, 0.4408), "std": (0.2675, 0.2565, 0.2761)}
_EYES = {"num_classes": 2, "input_size": (1, 36, 60), "pool_size": (9, 15), "mean": (0.0,), "std": (1.0,)}
_EYE_NETWORK = {"blocks": 1, "widths": (16, 16, 32, 64), "activated_identity": True, "in_chans": 1}
_EIGHTEEN = {
    "cifar_preact_resnet18": (
        "Pre-activation ResNet-18 for CIFAR: 11.2 M parameters.",
        {"blocks": 2, "widths": (64, 64, 128, 256, 512)},
    )
}
_DEEP = {
    "cifar_preact_resnet110": (
        "Pre-activation ResNet-110 for CIFAR-10: 1.7 M parameters.",
        {"blocks": 18, "widths": (16, 16, 32, 64)},
    )
}
_GAZE = {
    "gaze_preact_resnet8": ("Pre-activation ResNet-8 on 36×60 grey eye images: 0.08 M parameters.", _EYE_NETWORK),
    "gaze_preact_resnet8_pose": (
        "Pre-activation ResNet-8 that is given the head's pitch and yaw as well.",
        {**_EYE_NETWORK, "head_pose_dim": 2},
    ),
}
default_cfgs = {
    **cifar_default_cfgs(_EIGHTEEN, pool_size=(4, 4), **_CIFAR100),
    **cifar_default_cfgs(_DEEP),
    **cifar_default_cfgs(_GAZE, **_EYES),
}
register(__name__, PreActResNet, {**_EIGHTEEN, **_DEEP, **_GAZE})
