"""Compare converted weights in timm with PaddleClas' own logits, for every reference file of a folder.

    python benchmarks/conversion_parity.py tests/references/paddle

The files come from tests/references/paddle_logits.py (which says how to make more, for other seeds and image sizes).
Prints a table: the largest difference of any logit in float32 and in float64, the largest logit, and how far the
logits of the two images lie apart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from kdzoo.zoo.conversion import convert

sys.path.append(str(Path(__file__).parents[1] / "tests" / "references"))
from fixed_weights import GAIN, fixed_images, fixed_tensor


def differences(file: Path) -> tuple[float, float, np.ndarray, str]:
    """Largest difference of a logit in float32 and in float64, the official logits and the twin, for one file."""
    reference = np.load(file, allow_pickle=False)
    network, seed, size = file.stem.split("-")[0], int(reference["seed"]), reference["size"].tolist()
    shapes = {str(name): [int(n) for n in shape if n] for name, shape in zip(reference["names"], reference["shapes"])}
    fixed = {name: fixed_tensor(name, shape, GAIN[network], seed) for name, shape in shapes.items()}
    converted = convert(network, {name: torch.from_numpy(value) for name, value in fixed.items()})
    images = torch.from_numpy(fixed_images(2, *size, seed))
    model = converted.build()
    with torch.inference_mode():
        single = np.abs(model(images).numpy() - reference["logits"]).max()
        double = np.abs(model.double()(images[:1].double()).numpy() - reference["exact_logits"]).max()
    return float(single), float(double), reference["logits"], converted.architecture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(
        "| network | keys | twin | float32 | float64 | largest logit | between images |\n|---|---|---|---|---|---|---|"
    )
    for file in sorted(parser.parse_args().folder.glob("*.npz")):
        single, double, logits, twin = differences(file)
        between = np.abs(logits[0] - logits[1]).max()
        network, keys = file.stem.split("-")
        print(
            f"| {network} | {keys} | `{twin}` | {single:.1e} | {double:.1e} "
            f"| {np.abs(logits).max():.2f} | {between:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
