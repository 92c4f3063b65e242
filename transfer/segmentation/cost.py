"""What a segmentation plan costs: parameters, arithmetic, memory and time, from real training steps on this device."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ...engine.checkpoint import KEPT
from ...engine.distributed import choose_device
from ...errors import KdzooError
from .engines import make_engine
from .plan import SegmentationPlan

_CPU_SIDE = 128
"""Shorter side of a step measured on a CPU; its time and memory are scaled by the pixels."""

_CPU_IMAGES = 2  # BatchNorm over a pooled map needs two
_BYTES = 4
_STEP_COPIES = 3  # weights, gradients, momentum


@dataclass(frozen=True)
class SegmentationCost:
    """What a plan costs, a run and all of them.

    Attributes:
        runs: Sides times seeds.
        parameters: Of the segmentor.
        learning_parameters: Of which so many learn.
        macs: Multiply-accumulates of a forward and backward pass of one training crop.
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


def estimate(plan: SegmentationPlan) -> SegmentationCost | None:
    """Build the segmentor with random weights and take training steps of noise.

    Neither data nor weights need to be here. None where the backbone cannot be built.
    """
    try:
        segmentor = make_engine(plan.engine).build(
            plan.sides[0].load(pretrained=False), plan.settings, plan.num_classes, 0
        )
    except KdzooError:
        return None
    own = plan.settings
    device = choose_device(plan.device)
    on_gpu = device.type == "cuda"
    size = own.crop if on_gpu else _smaller(own.crop, segmentor.multiple)
    images = own.batch_size if on_gpu else min(_CPU_IMAGES, own.batch_size)
    model = segmentor.model.to(device).train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    learnt = sum(parameter.numel() for parameter in learning)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    notes = ["reading images and evaluating are not in the time"]
    kept = _Kept()

    def step() -> float:
        random = torch.Generator().manual_seed(0)
        noise = torch.randn(images, 3, *size, generator=random).to(device)
        labels = torch.randint(plan.num_classes, (images, *size), generator=random).to(device)
        began = time.perf_counter()
        losses = segmentor.losses(model, noise, labels)
        torch.stack(list(losses.values())).sum().backward()
        model.zero_grad(set_to_none=True)
        if on_gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    scale = own.crop[0] * own.crop[1] / (size[0] * size[1]) * own.batch_size / images
    step_s: float | None = None
    memory: int | None = None
    macs: int | None = None
    try:
        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(kept.pack, kept.unpack):
            step()
        macs = round(counter.get_total_flops() * scale / own.batch_size) // 2
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        step_s = min(step() for _ in range(2)) * scale
        memory = round(_BYTES * (_STEP_COPIES - 1) * learnt + weights + kept.bytes * scale)
        if on_gpu:
            memory = int(torch.cuda.max_memory_allocated(device))
    except torch.OutOfMemoryError:
        notes.append(f"{images} crops do not fit into this device's memory: more processes, or a smaller --batch-size")
    except ValueError as error:  # BatchNorm over one value
        notes.append(f"no training step can be taken: {error}")
    if not on_gpu:
        notes.append(f"timed on {images} crops of {size[0]}x{size[1]}, scaled by the pixels")
    runs = len(plan.sides) * len(plan.seeds)
    name = torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads"
    return SegmentationCost(
        runs=runs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        learning_parameters=learnt,
        macs=macs,
        memory_bytes=memory,
        memory_measured=on_gpu,
        disk_bytes=KEPT * runs * (weights + _BYTES * learnt),
        device=name,
        step_s=step_s,
        run_s=None if step_s is None else step_s * own.iterations,
        notes=tuple(notes),
    )


def _smaller(crop: tuple[int, int], multiple: int) -> tuple[int, int]:
    factor = min(1.0, _CPU_SIDE / min(crop))
    height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in crop)
    return height, width


class _Kept:
    """Counts what autograd keeps for the backward pass, each memory once."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: set[int] = set()

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        """Called for each tensor that is kept; parameters are no activations."""
        place = tensor.untyped_storage().data_ptr()
        if not isinstance(tensor, torch.nn.Parameter) and place not in self._seen:
            self._seen.add(place)
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor

    def unpack(self, tensor: torch.Tensor) -> torch.Tensor:
        """Called when it is used."""
        return tensor
