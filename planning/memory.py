"""The memory that an objective takes beside the networks: stated in the plan, asked for before it is taken."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.amounts import readable
from ..base.errors import UsageError
from ..recipes.recipe import ObjectiveMemory

if TYPE_CHECKING:
    import torch

_HOST = Path("/proc/meminfo")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Limit and use of a control group, version 2 and 1."""
_CACHE = ("inactive_file", "active_file", "total_inactive_file", "total_active_file")
"""What of a group's use is files that were read: the system takes it back before anything fails."""


def describe_memory(memory: ObjectiveMemory) -> str:
    """A line of the plan."""
    return (
        f"{memory.what}: {readable(memory.held)} held all through the run and in every checkpoint, and up to "
        f"{readable(memory.step)} more during a step"
    )


def available_host_bytes() -> int | None:
    """Memory that this process can still take on the host, or None where the system does not say."""
    found = []
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = dict(line.split(":", 1) for line in _HOST.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    for folder in _group_folders():
        for limit, used in _LIMITS:
            with contextlib.suppress(OSError, ValueError):  # no such file, or no limit ("max")
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
                found.append(max(0, left + _cached(folder)))
    return min(found, default=None)


def _group_folders() -> list[Path]:
    """The control groups that this process is in, and the ones around them."""
    folders = {_GROUPS, _GROUPS / "memory"}
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUP.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            root = _GROUPS / "memory" if "memory" in kinds.split(",") else _GROUPS
            own = root / path.strip("/")
            folders |= {own, *(one for one in own.parents if one.is_relative_to(root))}
    return sorted(folders)


def _cached(group: Path) -> int:
    """Bytes of files that a group's use counts."""
    with contextlib.suppress(OSError, ValueError):
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        names = _CACHE[2:] if _CACHE[2] in stat else _CACHE[:2]
        return sum(int(stat.get(name, 0)) for name in names)
    return 0


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
