"""The settings of tests/arithmetic.py reach torch: a name that it does not know would be passed over without a word."""

from __future__ import annotations

import os

import pytest
import torch

pytestmark = pytest.mark.numeric


def test_torch_computes_as_it_was_asked_to() -> None:
    asked = os.environ.get("ATEN_CPU_CAPABILITY")
    assert asked is None or torch.backends.cpu.get_cpu_capability() == asked.upper()
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
