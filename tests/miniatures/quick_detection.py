"""The options of a detection run that takes seconds on a CPU, and the marks of tests that need detectron2."""

from __future__ import annotations

import importlib.util

import pytest

needs_detectron2 = (
    pytest.mark.detectron2,
    pytest.mark.skipif(importlib.util.find_spec("detectron2") is None, reason="detectron2 is not installed"),
    pytest.mark.filterwarnings("ignore"),  # detectron2's own
)

QUICK = (
    *("--iterations", "4", "--batch-size", "4", "--workers", "0", "--device", "cpu", "--freeze", "none"),
    *("--engine", "torchvision", "--batchnorm", "train"),
    *(f"--set={one}" for one in ("short_sides=64", "max_side=80", "test_short_side=64", "test_max_side=80")),
    *(f"--set={one}" for one in ("fpn_channels=16", "box_head_width=32", "proposals=50", "rois_per_image=16")),
    "--set=checkpoint_every=2",
)
