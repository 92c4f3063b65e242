"""The options of a segmentation run that takes seconds on a CPU."""

from __future__ import annotations

SMALL = {
    "crop": (32, 48),
    "scale": (64, 48),
    "test_scale": (64, 48),
    "factors": (0.75, 1.5),
    "output_stride": 16,
    "channels": 32,
    "aux_channels": 16,
    "low_channels": 8,
    "ocr_channels": 16,
    "checkpoint_every": 2,
}
"""Settings."""

QUICK = (
    *("--iterations", "4", "--batch-size", "4", "--workers", "0", "--device", "cpu", "--lr", "0.05"),
    *(
        f"--set={name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in SMALL.items()
    ),
)
"""On the command line."""
