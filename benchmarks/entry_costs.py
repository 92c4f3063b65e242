"""Parameters and multiply-adds of every entry of the zoo.

    python benchmarks/entry_costs.py > zoo/entries/costs.csv

A model is built without memory (torch's meta device) and one image of the entry's size is passed through it; what
torch.utils.flop_counter counts (convolutions, matrix products, attention) is halved into multiply-adds.
"""

from __future__ import annotations

import sys

import torch
from timm.layers import set_fused_attn
from torch.utils.flop_counter import FlopCounterMode

from kdzoo.zoo.building import create
from kdzoo.zoo.entries import ENTRIES, Entry


def measure(entry: Entry) -> tuple[int, int]:
    """Parameters, and multiply-adds of one image's forward pass."""
    set_fused_attn(False)  # one way through attention, whatever the machine has
    size = entry.image_size
    with torch.device("meta"):
        model = create(entry.timm_name or entry.architecture, entry.name, **entry.model_args).eval()
        model.requires_grad_(False)  # the counter's hooks want a graph of what needs gradients
        images = torch.zeros(1, 3, size, size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2


def main() -> None:
    """Print the table."""
    print("name,parameters,macs")
    for name, entry in ENTRIES.items():
        print(name, file=sys.stderr)
        params, macs = measure(entry)
        print(f"{name},{params},{macs}")


if __name__ == "__main__":
    main()
