"""What this machine is, as far as throughputs depend on it."""

from __future__ import annotations

import contextlib
import platform
from functools import cache


@cache
def processor_name() -> str:
    """The processor's model, such as ``"AMD EPYC 7763 64-Core Processor"``; its architecture where it does not say."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine()
