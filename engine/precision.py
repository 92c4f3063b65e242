"""Numeric precision and determinism, set in one place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from torch.utils import deterministic as torch_deterministic

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which networks compute in ``precision``; losses stay in float32 outside it."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def computes_bf16(device: str) -> bool:
    """Whether a device by its name is an accelerator that has bf16's arithmetic; a CPU gains little by it."""
    if device == "cpu" or not torch.cuda.is_available():
        return False
    return torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def deterministic(enabled: bool, *, benchmark: bool | None = None) -> Iterator[None]:
    """Only deterministic kernels inside, where torch has them; torch's own settings come back afterwards.

    Filling uninitialised memory, which torch does in that mode too, is left out: it writes every activation once more,
    and nothing here reads memory before writing it.

    Args:
        enabled: Whether the mode is on.
        benchmark: Whether cuDNN times its algorithms for each new shape; None for where the mode is off. Never with it.
    """
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch_deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    searching = torch.backends.cudnn.benchmark
    if enabled:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(enabled, warn_only=True)
    torch_deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not enabled and benchmark is not False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch_deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = searching
