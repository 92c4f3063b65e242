"""What a detection plan costs: parameters, arithmetic, memory and time, from one real training step on this device."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ...data.detection import BoxBatch, resized_size
from ...engine.checkpoint import KEPT
from ...engine.distributed import choose_device
from ...errors import KdzooError
from .engines import make_engine
from .plan import DetectionPlan, load_side

_COCO_SIZE = (640, 480)
"""Width and height of most of COCO's images."""

_CPU_SIDE = 160
"""Short side of a step measured on a CPU; its time and memory are scaled by the pixels."""

_BYTES = 4
_STEP_COPIES = 3  # weights, gradients, momentum


@dataclass(frozen=True)
class DetectionCost:
    """What a plan costs, a run and all of them.

    Attributes:
        runs: Sides times seeds.
        parameters: Of the detector.
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


def estimate(plan: DetectionPlan) -> DetectionCost | None:
    """Build the detector with random weights and take one training step of noise.

    Neither data nor weights need to be here. None where the backbone cannot be built.
    """
    try:
        loaded = load_side(plan, plan.sides[0], pretrained=False)
        detector = make_engine(plan.engine).build(loaded, plan.settings, plan.num_classes, 0)
    except KdzooError:
        return None
    own = plan.settings
    short = sorted(own.short_sides)[len(own.short_sides) // 2]
    view = resized_size(*_COCO_SIZE, short, own.max_side)
    device = choose_device(plan.device)
    size = view if device.type == "cuda" else resized_size(*_COCO_SIZE, min(short, _CPU_SIDE), own.max_side)
    images = own.batch_size if device.type == "cuda" else 1
    model = detector.model.to(device).train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    notes = ["reading images and evaluating are not in the time"]
    kept = _Kept()

    def step(number: int) -> float:
        batch = _noise(number, size, plan.num_classes)
        began = time.perf_counter()
        losses = detector.losses(model, batch, device)
        torch.stack(list(losses.values())).sum().backward()
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    scale = view[0] * view[1] / (size[0] * size[1])
    step_s: float | None = None
    memory: int | None = None
    flops: int | None = None
    try:
        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(kept.pack, kept.unpack):
            step(1)
        flops = round(counter.get_total_flops() * scale)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        step_s = min(step(images) for _ in range(2)) * scale * own.batch_size / images
        fixed = _BYTES * (_STEP_COPIES - 1) * sum(parameter.numel() for parameter in learning) + weights
        memory = round(fixed + kept.bytes * scale * own.batch_size)
        if device.type == "cuda":
            memory = int(torch.cuda.max_memory_allocated(device))
    except torch.OutOfMemoryError:
        notes.append(f"{images} images do not fit into this device's memory: more processes, or a smaller --batch-size")
    if device.type != "cuda":
        notes.append(f"timed on one image of {size[0]}x{size[1]}, scaled by the pixels")
    momentum = _BYTES * sum(parameter.numel() for parameter in learning)
    runs = len(plan.sides) * len(plan.seeds)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return DetectionCost(
        runs=runs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        learning_parameters=sum(parameter.numel() for parameter in learning),
        macs=None if flops is None else flops // 2,
        view=view,
        memory_bytes=memory,
        memory_measured=device.type == "cuda",
        disk_bytes=KEPT * runs * (weights + momentum),
        device=name,
        step_s=step_s,
        run_s=None if step_s is None else step_s * own.iterations,
        notes=tuple(notes),
    )


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


def _noise(number: int, size: tuple[int, int], num_classes: int) -> BoxBatch:
    width, height = size
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, height, width), generator=random, dtype=torch.uint8) for _ in range(number)]
    corner = torch.rand(number, 7, 2, generator=random) * 0.6
    extent = torch.rand(number, 7, 2, generator=random) * 0.3 + 0.05
    scale = torch.tensor([width, height, width, height])
    boxes = [torch.cat([c, c + e], dim=1) * scale for c, e in zip(corner, extent, strict=True)]
    labels = [torch.randint(num_classes, (7,), generator=random) for _ in range(number)]
    return BoxBatch(images, boxes, labels, list(range(number)), [(height, width)] * number)
