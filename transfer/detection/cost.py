"""What a detection plan costs: one training step of noise at the size of most of COCO's images."""

from __future__ import annotations

import torch
from torch import Tensor

from ...base.errors import KdzooError
from ...data.detection import BoxBatch, resized_size
from ...engine.distributed import choose_device
from ..dense.cost import DenseCost, Probe, measure_cost
from .engines import make_engine
from .plan import DetectionPlan

_COCO_SIZE = (640, 480)
"""Width and height of most of COCO's images."""

_CPU_SIDE = 160
"""Short side of a step measured on a CPU."""


def estimate(plan: DetectionPlan) -> DenseCost | None:
    """Build the detector with random weights and take a training step of noise.

    Neither data nor weights need to be here. None where the backbone cannot be built.
    """
    own = plan.settings
    try:
        loaded = plan.sides[0].load(pretrained=False)
        detector = make_engine(plan.engine).build(loaded, own, plan.num_classes, 0)
    except KdzooError:
        return None
    short = sorted(own.short_sides)[len(own.short_sides) // 2]
    view = resized_size(*_COCO_SIZE, short, own.max_side)
    device = choose_device(plan.device)
    on_gpu = device.type == "cuda"
    size = view if on_gpu else resized_size(*_COCO_SIZE, min(short, _CPU_SIDE), own.max_side)
    model = detector.model.to(device).train()

    def losses(number: int) -> dict[str, Tensor]:
        return detector.losses(model, _noise(number, size, plan.num_classes), device)

    images = own.batch_size if on_gpu else 1
    return measure_cost(plan, model, Probe(losses=losses, device=device, images=images, size=size, view=view))


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
