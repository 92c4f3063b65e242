"""What a dense plan costs: parameters, arithmetic, memory and time, from real training steps on this device."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ...engine.checkpoint import KEPT
from ...engine.precision import autocast, deterministic
from .plan import DensePlan

_BYTES = 4
_STEP_COPIES = 3  # weights, gradients, momentum


@dataclass(frozen=True)
class DenseCost:
    """What a plan costs, a run and all of them.

    Attributes:
        runs: Sides times seeds.
        parameters: Of the whole network.
        learning_parameters: Of which so many learn.
        macs: Multiply-accumulates of a forward and backward pass of one training image, without its losses' sorting.
        view: Width and height of that image.
        memory_bytes: Of a training step at the plan's batch in one process: measured on an accelerator, else weights,
            gradients, momentum and the activations kept for the backward pass.
        memory_measured: Whether it was the device's own count.
        disk_bytes: Of the checkpoints that are kept at once, all runs.
        device: Where the step was timed.
        step_s: Seconds of a training iteration at the plan's batch, one process.
        run_s: Of one run's training, without evaluation and reading.
        notes: What the figures leave out.
    """

    runs: int
    parameters: int
    learning_parameters: int
    macs: int | None
    view: tuple[int, int]
    memory_bytes: int | None
    memory_measured: bool
    disk_bytes: int
    device: str
    step_s: float | None
    run_s: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A training step of noise.

    Attributes:
        losses: Named losses of so many images of noise; the network is on ``device``, in training mode.
        device: Where.
        images: In the step.
        size: Width and height of each.
        view: Width and height of the plan's own training images.
    """

    losses: Callable[[int], dict[str, Tensor]]
    device: torch.device
    images: int
    size: tuple[int, int]
    view: tuple[int, int]


def measure_cost(plan: DensePlan[Any, Any, Any], model: nn.Module, probe: Probe) -> DenseCost:
    """Take the step of noise, by the kernels and in the precision of the run.

    Time and memory of a smaller step are scaled by the pixels.

    Args:
        plan: What is to be run.
        model: With random weights, in training mode on the probe's device.
        probe: The step.
    """
    own, device = plan.settings, probe.device
    on_gpu = device.type == "cuda"
    learnt = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    notes = ["reading images and evaluating are not in the time"]
    kept = _Kept()

    def step() -> float:
        began = time.perf_counter()
        with autocast(device, plan.precision):
            total = torch.stack([loss.float() for loss in probe.losses(probe.images).values()]).sum()
        total.backward()
        model.zero_grad(set_to_none=True)
        if on_gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    pixels = probe.view[0] * probe.view[1] / (probe.size[0] * probe.size[1])
    scale = pixels * own.batch_size / probe.images
    step_s: float | None = None
    memory: int | None = None
    macs: int | None = None
    try:
        with deterministic(plan.is_deterministic(device), benchmark=plan.CUDNN_BENCHMARK):
            with FlopCounterMode(display=False) as counter, saved_tensors_hooks(kept.pack, kept.unpack):
                step()
            macs = round(counter.get_total_flops() * pixels / probe.images) // 2
            if on_gpu:
                torch.cuda.reset_peak_memory_stats(device)
            step_s = min(step() for _ in range(2)) * scale
        memory = round(_BYTES * (_STEP_COPIES - 1) * learnt + weights + kept.bytes * scale)
        if on_gpu:
            memory = int(torch.cuda.max_memory_allocated(device))
    except torch.OutOfMemoryError:
        notes.append(
            f"{probe.images} images do not fit into this device's memory: more processes, or a smaller --batch-size"
        )
    except ValueError as error:  # BatchNorm over one value
        notes.append(f"no training step can be taken: {error}")
    if not on_gpu:
        size = f"{probe.size[0]}x{probe.size[1]}"
        what = f"one image of {size}" if probe.images == 1 else f"{probe.images} images of {size}"
        notes.append(f"timed on {what}, scaled by the pixels")
    runs = len(plan.sides) * len(plan.seeds)
    return DenseCost(
        runs=runs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        learning_parameters=learnt,
        macs=macs,
        view=probe.view,
        memory_bytes=memory,
        memory_measured=on_gpu,
        disk_bytes=KEPT * runs * (weights + _BYTES * learnt),
        device=torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads",
        step_s=step_s,
        run_s=None if step_s is None else step_s * own.iterations,
        notes=tuple(notes),
    )


class _Kept:
    """Counts what autograd keeps for the backward pass, each memory once."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: set[int] = set()

    def pack(self, tensor: Tensor) -> Tensor:
        """Called for each tensor that is kept; parameters are no activations."""
        place = tensor.untyped_storage().data_ptr()
        if not isinstance(tensor, nn.Parameter) and place not in self._seen:
            self._seen.add(place)
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor

    def unpack(self, tensor: Tensor) -> Tensor:
        """Called when it is used."""
        return tensor
