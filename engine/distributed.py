"""Several processes under torchrun. The one place that names process groups.

Models stay single-device code; `gradients` averages what they learn.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..base.errors import RunError, UsageError
from ..data.batch import to_device
from .allocator import keep_freed_memory

_PATIENCE = timedelta(minutes=30)


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Turn the errors of an exchange whose other process has ended into one clear line."""
    try:
        yield
    except RuntimeError as error:  # of gloo and NCCL alike
        if isinstance(error, torch.OutOfMemoryError) or not dist.is_initialized():
            raise
        raise RunError(
            "another process of this run has ended",
            hint="what it said is the reason; the same command again (of a run: with --resume) goes on",
        ) from error


@dataclass(frozen=True)
class Processes:
    """This process among the run's processes.

    Attributes:
        rank: 0-based; rank 0 alone writes and prints.
        world_size: Number of processes.
        device: Where this process computes.
        host_group: A process group for numbers on the host, so that they never wait for the accelerator.
    """

    rank: int
    world_size: int
    device: torch.device
    host_group: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @_together()
    def start_mean(self, values: Tensor) -> Callable[[], list[float]]:
        """Begin to take the mean of each value over the processes, in float64.

        Args:
            values: (N,), on the device. A NaN anywhere is a NaN everywhere.

        Returns:
            A function that waits for this mean alone, not for what was queued on the accelerator after it.
        """
        values = values.double()
        if self.world_size > 1:
            dist.all_reduce(values)
            values /= self.world_size
        if values.device.type != "cuda":
            return values.tolist
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(values.device))

        def wait() -> list[float]:
            arrived.synchronize()
            return list(host.tolist())

        return wait

    @_together()
    def start_sum(self, values: Tensor) -> Callable[[], object]:
        """Begin to add up each value over the processes, in place.

        Returns:
            A function that waits for the sums.
        """
        return _together()(dist.all_reduce(values, async_op=True).wait)

    @_together()
    def sum(self, values: Sequence[float]) -> list[float]:
        """The sum of each of the host's numbers over the processes, in float64."""
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(list(values), dtype=torch.float64)
        dist.all_reduce(tensor, group=self.host_group)
        return list(tensor.tolist())

    @_together()
    def copy_from_main(self, modules: Iterable[nn.Module]) -> None:
        """Give every process rank 0's parameters and buffers."""
        if self.world_size == 1:
            return
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.data, src=0)

    @_together()
    def copy_buffers_from_main(self, modules: Iterable[nn.Module]) -> None:
        """Give every process rank 0's buffers: BatchNorm's running statistics are those of rank 0's images."""
        if self.world_size == 1:
            return
        for module in modules:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    @_together()
    def gather_batch(self, tensor: Tensor) -> Tensor:
        """All ranks' slices of a batch, in rank order: (B, …) to (world_size · B, …)."""
        if self.world_size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @_together()
    def partner_rows(self, rows: Tensor, partners: np.ndarray) -> Tensor:
        """The partners of this process's rows of a batch; no other row is sent.

        Args:
            rows: (B, …), this process's slice of the batch.
            partners: int64, (world_size · B,), a permutation of the whole batch, the same in every process.
        """
        share = len(rows)
        wanted = partners.reshape(self.world_size, share)
        mine = wanted[self.rank]
        if self.world_size == 1:
            return rows[to_device(torch.from_numpy(mine), rows.device)]
        from_mine = [np.sort(other[other // share == self.rank]) - self.rank * share for other in wanted]
        sent = rows[to_device(torch.from_numpy(np.concatenate(from_mine)), rows.device)].contiguous()
        received = torch.empty_like(sent)
        counts = np.bincount(mine // share, minlength=self.world_size).tolist()
        dist.all_to_all_single(received, sent, counts, [len(part) for part in from_mine])
        place = np.argsort(np.argsort(mine))  # they come in the order of their places in the batch
        return received[to_device(torch.from_numpy(place), rows.device)]

    @_together()
    def gather_objects(self, item: Any) -> list[Any]:
        """Every process's item, in rank order."""
        if self.world_size == 1:
            return [item]
        items: list[Any] = [None] * self.world_size
        dist.all_gather_object(items, item, group=self.host_group)
        return items

    @_together()
    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.world_size > 1:
            dist.barrier()

    def stop(self) -> None:
        """Leave the process group."""
        if self.world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def choose_device(name: str) -> torch.device:
    """A torch device by its name; ``auto`` is the accelerator where there is one.

    Whatever computes on a CPU comes by here, so that this is where the process begins to keep the memory that it frees.

    Raises:
        UsageError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", hint="use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} asked for, but torch sees no CUDA device", hint="use --device cpu")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported", hint="use auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        keep_freed_memory()
        return device
    if (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r} asked for, but torch sees {torch.cuda.device_count()} CUDA devices",
            hint="count from cuda:0, or use --device auto",
        )
    # cuBLAS looks once, before its first product; without it no product repeats its bits (engine/precision.py).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if device.index is not None:  # what names no device, such as an event, is of this one
        torch.cuda.set_device(device)
    return device


def start_processes(device: str = "auto") -> Processes:
    """Join the processes that torchrun started; one process where it did not.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; under torchrun each process takes its own accelerator, unless
            there are fewer of them and one is named for all.

    Raises:
        UsageError: There is no such device, or too few for this machine's processes.
        RunError: The processes do not find each other.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if world_size == 1:
        return Processes(0, 1, chosen)
    backend = "gloo"
    if chosen.type == "cuda":
        here, devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        if here <= devices:
            backend, chosen = "nccl", torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(chosen)
        elif chosen.index is None:  # NCCL takes one process a device, gloo any number
            raise UsageError(
                f"{here} processes were started here, and torch sees {devices} CUDA devices",
                hint="start one process a device, or have all share one: --device cuda:0, or compute with --device cpu",
            )
    if not dist.is_initialized():
        try:
            store, rank, size = next(iter(dist.rendezvous("env://", timeout=_PATIENCE)))
            # torchrun keeps one store for all its restarts, with the addresses of processes that have ended
            store = dist.PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise RunError(f"the processes could not find each other: {error}", hint="start with torchrun") from error
    host_group = None if backend == "gloo" else dist.new_group(backend="gloo")
    return Processes(dist.get_rank(), dist.get_world_size(), chosen, host_group)


def share_batch(global_batch: int, world_size: int, accumulate: int) -> int:
    """How many images of each global batch a process takes.

    Raises:
        UsageError: The batch does not divide evenly.
    """
    if global_batch % (world_size * accumulate):
        raise UsageError(
            f"a batch of {global_batch} does not divide into {world_size} processes x {accumulate} accumulated parts",
            hint=f"use a --batch-size that is a multiple of {world_size * accumulate}",
        )
    return global_batch // world_size


def convert_sync_batchnorm(model: nn.Module, processes: Processes) -> nn.Module:
    """The model with BatchNorm statistics over all processes.

    Raises:
        UsageError: The processes compute on CPUs, where torch has no synchronised BatchNorm.
    """
    if processes.world_size == 1:
        return model
    if processes.device.type != "cuda":
        raise UsageError("synchronised BatchNorm needs CUDA devices", hint="--set training.sync_batchnorm=false")
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)
