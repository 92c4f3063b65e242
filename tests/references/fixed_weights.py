"""Weights and images by a fixed rule, the same in every framework: values follow from a tensor's name and shape alone.

The bits come from Philox, keyed by a SHA-256 of seed, name and shape, and are turned into numbers here, so that no
version of a library can change them. Scales keep the activations of deep networks within a few units; BatchNorm's
statistics and every bias differ from their initial values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np


def uniform(name: str, shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Float64 numbers in [0, 1) that follow from the arguments alone."""
    digest = hashlib.sha256(f"{seed}:{name}:{','.join(str(n) for n in shape)}".encode()).digest()
    bits = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(math.prod(shape))
    return ((np.asarray(bits, dtype=np.uint64) >> np.uint64(11)) * 2.0**-53).reshape(tuple(shape))


# How strongly each network's BatchNorms must amplify for two images to end about as far apart as they began: without
# it random weights forget the image within some twenty layers, and a comparison of logits would see only the last few
# of them.
GAIN = {
    "ResNet34_vd": 1.2,
    "ResNet50_vd": 1.2,
    "ResNet101_vd": 1.1,
    "Res2Net50_vd_26w_4s": 1.15,
    "Res2Net101_vd_26w_4s": 1.0,
    "MobileNetV1": 1.65,
    "MobileNetV2": 1.2,
    "MobileNetV3_large_x1_0": 1.4,
    "MobileNetV3_small_x1_0": 1.55,
    "MobileNetV3_small_x0_35": 1.55,
    "PPLCNet_x0_25": 1.82,
    "PPLCNet_x0_5": 1.8,
    "PPLCNet_x1_0": 1.77,
    "PPLCNet_x2_5": 1.77,
    "GhostNet_x1_3": 1.0,
}


def fixed_tensor(name: str, shape: Sequence[int], gain: float, seed: int = 0) -> np.ndarray:
    """The float32 value of a Paddle parameter with this name and shape; `gain` is the mean of BatchNorm's weights."""
    values = uniform(name, shape, seed)
    if name.endswith("_variance"):
        values = 0.5 + values
    elif name.endswith(("_mean", "bias")):
        values = 0.4 * (values - 0.5)
    elif len(shape) == 1:  # BatchNorm's weight
        values = gain * (0.75 + 0.5 * values)
    else:  # a linear weight is [in, out], a convolution's [out, in, height, width]; each filter sums to zero
        inputs = 0 if len(shape) == 2 else tuple(range(1, len(shape)))
        fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
        values = values - (values.mean(axis=inputs, keepdims=True) if fan_in > 1 else 0.5)
        values = values * math.sqrt(12 / fan_in)
    return values.astype(np.float32)


def fixed_images(num_images: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Images as a network sees them, (N, 3, H, W) float32 in [-2, 2)."""
    return (4 * uniform("images", (num_images, 3, height, width), seed) - 2).astype(np.float32)
