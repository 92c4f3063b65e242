"""The memory that an objective takes beside the networks: stated in the plan, asked for before it is taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..recipes.recipe import ObjectiveMemory

if TYPE_CHECKING:
    import torch

_HOST = Path("/proc/meminfo")
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def readable(num_bytes: int) -> str:
    """Bytes as a person reads them: ``1.31 GB``."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes} bytes"


def describe_memory(memory: ObjectiveMemory) -> str:
    """A line of the plan."""
    return (
        f"{memory.what}: {readable(memory.held)} held all through the run and in every checkpoint, and up to "
        f"{readable(memory.step)} more during a step"
    )


def available_host_bytes() -> int | None:
    """Memory that this process can still take on the host, or None where the system does not say."""
    found = []
    try:
        lines = dict(line.split(":", 1) for line in _HOST.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        pass
    for limit, used in _LIMITS:
        try:
            found.append(max(0, int(limit.read_text()) - int(used.read_text())))
        except (OSError, ValueError):  # no such file, or no limit ("max")
            continue
    return min(found, default=None)


def available_bytes(device: torch.device) -> int | None:
    """Memory that this process can still take on a device, or None where that is not known."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return available_host_bytes()


def require_memory(memory: ObjectiveMemory | None, device: torch.device) -> None:
    """Refuse what does not fit, before any of it is taken.

    Args:
        memory: What the objective takes.
        device: Where it will lie. It is made on the host first.

    Raises:
        UsageError: There is less.
    """
    if memory is None:
        return
    asked = [(memory.held + memory.step, available_bytes(device), str(device))]
    if device.type != "cpu":
        asked.append((memory.held, available_host_bytes(), "cpu"))
    for needed, free, where in asked:
        if free is not None and needed > free:
            raise UsageError(
                f"{memory.what}: {readable(memory.held)} held and {readable(memory.step)} more during a step do not "
                f"fit into the {readable(free)} that are free ({where})",
                hint="use fewer negatives (objective.contrast.num_negatives), a smaller --batch-size, or "
                "training.accumulate; what is held grows with the number of training images",
            )
