"""LeNet for gaze: two convolutions and two linear layers on 36×60 grey eye images, XCL's regression student.

Zhang, Sugano, Fritz, Bulling, "Appearance-based Gaze Estimation in the Wild", CVPR 2015, in the sizes of
hysts/pytorch_mpiigaze (1,827,076 parameters with its head pose and two outputs).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .small_image import cifar_default_cfgs, register, with_head_pose


class GazeLeNet(nn.Module):
    """LeNet on (B, 1, 36, 60) images in [0, 1].

    Args:
        num_classes: Outputs: 2 for pitch and yaw, 3 with a scale of uncertainty.
        in_chans: Channels of the image.
        head_pose_dim: Numbers of head pose that are appended before the last layer (2 in MPIIGaze's protocol). XCL
            does not say whether it appends them; 0 takes the image alone.
    """

    num_features = 500
    only_size = (36, 60)  # height and width that it is built for

    def __init__(self, num_classes: int = 2, in_chans: int = 1, head_pose_dim: int = 0) -> None:
        super().__init__()
        self.head_pose_dim = head_pose_dim
        self.conv1 = nn.Conv2d(in_chans, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 6 * 12, self.num_features)
        self.reset_classifier(num_classes)
        nn.init.normal_(self.conv1.weight, std=0.1)
        nn.init.normal_(self.conv2.weight, std=0.01)
        nn.init.xavier_uniform_(self.fc1.weight)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    @property
    def head_hidden_size(self) -> int:
        """Width of what ``forward_head(x, pre_logits=True)`` gives."""
        return self.num_features

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_chans, 36, 60) to (B, 50, 6, 12)."""
        return F.max_pool2d(self.conv2(F.max_pool2d(self.conv1(x), 2)), 2)

    def forward_head(self, x: Tensor, pre_logits: bool = False, head_pose: Tensor | None = None) -> Tensor:
        """Feature maps to (B, num_classes), or to (B, 500) before the last layer (without the head pose)."""
        hidden = F.relu(self.fc1(x.flatten(1)))
        if pre_logits:
            return hidden
        return self.fc(with_head_pose(hidden, head_pose, self.head_pose_dim))

    def forward(self, x: Tensor, head_pose: Tensor | None = None) -> Tensor:
        """Images, and (B, head_pose_dim) head poses where the network takes them, to (B, num_classes)."""
        return self.forward_head(self.forward_features(x), head_pose=head_pose)

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the last layer by a fresh one; there is no global pooling to choose."""
        if global_pool is not None:
            raise ValueError(f"this network has no global pooling, so not {global_pool!r} either")
        self.num_classes = num_classes
        if num_classes == 0:
            self.fc: nn.Module = nn.Identity()
            return
        self.fc = nn.Linear(self.num_features + self.head_pose_dim, num_classes)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)


_GAZE: dict[str, tuple[str, dict[str, Any]]] = {
    "gaze_lenet": ("Gaze LeNet, 1.8 M parameters.", {}),
    "gaze_lenet_pose": ("Gaze LeNet that is given the head's pitch and yaw as well.", {"head_pose_dim": 2}),
}
default_cfgs = cifar_default_cfgs(_GAZE, num_classes=2, input_size=(1, 36, 60), pool_size=None, mean=(0.0,), std=(1.0,))
register(__name__, GazeLeNet, _GAZE)
