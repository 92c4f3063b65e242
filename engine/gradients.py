"""Averaging gradients over the processes while the backward pass still runs, as DistributedDataParallel does.

A module is not wrapped: several optimisers, phases, forward passes and accumulated parts need no special case then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from .distributed import Processes

_BUCKET_BYTES = 25 * 2**20
"""DistributedDataParallel's own size."""


class GradientAverage:
    """The mean of each gradient over the processes, exchanged in buckets as they become complete.

    The buckets are filled from the last parameter to the first, about the order in which a backward pass reaches them,
    and leave in this order in every process. A parameter that the loss reaches in some processes alone counts as zero
    in the others; one that it reaches in none keeps having no gradient.

    Args:
        parameters: Those of one optimiser, each once, on one device.
        processes: Whose gradients are averaged.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], processes: Processes) -> None:
        self._processes, self._running = processes, False
        self._buckets = [_Bucket(part) for part in _parts(parameters)] if processes.world_size > 1 else []
        self._next = 0
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                parameter.register_post_accumulate_grad_hook(bucket.arrive)
                parameter.register_post_accumulate_grad_hook(lambda _: self._send_complete())

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """Average the gradients of the backward pass inside, the last of a step; they are there when it ends."""
        self._running, self._next = True, 0
        for bucket in self._buckets:
            bucket.waiting = len(bucket.parameters)
        try:
            yield
            for bucket in self._buckets[self._next :]:
                bucket.send(self._processes)
            for bucket in self._buckets:
                bucket.receive(self._processes.world_size)
        finally:
            self._running = False

    def _send_complete(self) -> None:
        while self._running and self._next < len(self._buckets) and self._buckets[self._next].waiting == 0:
            self._buckets[self._next].send(self._processes)
            self._next += 1


class _Bucket:
    """Parameters whose gradients are exchanged in one piece of memory, with a mark for each that has one."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters, self.waiting = parameters, 0
        sizes, like = [parameter.numel() for parameter in parameters], parameters[0]
        self._flat = torch.zeros(sum(sizes) + len(sizes), dtype=like.dtype, device=like.device)
        self._marks = self._flat[sum(sizes) :]
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self._views = [  # in the layout of the parameter, which is that of its gradient
            self._flat.as_strided(parameter.shape, parameter.stride(), start)
            for parameter, start in zip(parameters, starts, strict=True)
        ]
        self._wait: Callable[[], object] = lambda: None

    def arrive(self, _: Tensor) -> None:
        """A gradient is complete."""
        self.waiting -= 1

    def send(self, processes: Processes) -> None:
        """Begin to exchange the gradients."""
        self._marks.fill_(1)
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                self._views[index].zero_()
                self._marks[index] = 0
        there = [
            (view, one.grad) for view, one in zip(self._views, self.parameters, strict=True) if one.grad is not None
        ]
        if there:
            torch._foreach_copy_([view for view, _ in there], [gradient for _, gradient in there])
        self._wait = processes.start_sum(self._flat)

    def receive(self, world_size: int) -> None:
        """Wait for the sums, and make the means the parameters' gradients."""
        self._wait()
        self._flat /= world_size
        whole = all(parameter.grad is not None for parameter in self.parameters)
        marks = [1.0] * len(self.parameters) if whole else self._marks.tolist()
        for view, parameter, mark in zip(self._views, self.parameters, marks, strict=True):
            if mark > 0:
                parameter.grad = view


def _parts(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """The parameters from last to first, in parts of one dtype and about `_BUCKET_BYTES`."""
    parts: list[list[nn.Parameter]] = []
    for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
        size = _BUCKET_BYTES
        for parameter in reversed(parameters):
            if parameter.dtype != dtype:
                continue
            if size >= _BUCKET_BYTES:
                parts.append([])
                size = 0
            parts[-1].append(parameter)
            size += parameter.numel() * parameter.element_size()
    return parts
