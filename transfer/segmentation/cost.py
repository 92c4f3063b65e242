"""What a segmentation plan costs: one training step of noise at the size of a crop."""

from __future__ import annotations

import torch
from torch import Tensor

from ...base.errors import KdzooError
from ...engine.distributed import choose_device
from ..dense.cost import DenseCost, Probe, measure_cost
from .engines import make_engine
from .plan import SegmentationPlan

_CPU_SIDE = 128
"""Shorter side of a step measured on a CPU."""

_CPU_IMAGES = 2  # BatchNorm over a pooled map needs two


def estimate(plan: SegmentationPlan) -> DenseCost | None:
    """Build the segmentor with random weights and take a training step of noise.

    Neither data nor weights need to be here. None where the backbone cannot be built.
    """
    own = plan.settings
    try:
        loaded = plan.sides[0].load(pretrained=False)
        segmentor = make_engine(plan.engine).build(loaded, own, plan.num_classes, 0)
    except KdzooError:
        return None
    device = choose_device(plan.device)
    on_gpu = device.type == "cuda"
    height, width = own.crop if on_gpu else _smaller(own.crop, segmentor.multiple)
    model = segmentor.model.to(device).train()

    def losses(number: int) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(0)
        noise = torch.randn(number, 3, height, width, generator=random).to(device)
        labels = torch.randint(plan.num_classes, (number, height, width), generator=random).to(device)
        return segmentor.losses(model, noise, labels)

    probe = Probe(
        losses=losses,
        device=device,
        images=own.batch_size if on_gpu else min(_CPU_IMAGES, own.batch_size),
        size=(width, height),
        view=(own.crop[1], own.crop[0]),
    )
    return measure_cost(plan, model, probe)


def _smaller(crop: tuple[int, int], multiple: int) -> tuple[int, int]:
    factor = min(1.0, _CPU_SIDE / min(crop))
    height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in crop)
    return height, width
