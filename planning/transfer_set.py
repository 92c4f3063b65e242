"""A stored transfer set: generated images of mixed classes in a folder, for ``xcl_gan``'s offline mode.

``kdzoo data generate GENERATOR FOLDER`` writes it. Image n is a pure function of
the generator, the seed and n, so that an interrupted call goes on where it stopped.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from PIL import Image

from ..base.errors import UsageError
from ..base.writing import remove_leftovers, write_file
from ..data import generator as random_numbers
from ..recipes.generated_images import draw_wanted
from ..zoo.networks.conditional_generator import ConditionalGenerator

_AT_ONCE = 64


def write_transfer_set(
    generator: ConditionalGenerator,
    folder: Path,
    num_images: int,
    *,
    seed: int = 0,
    class_mix_alpha: float | None = 1.0,
) -> int:
    """Write images 0 … num_images − 1 that are not there yet.

    Args:
        generator: Frozen.
        folder: Where; made if need be.
        num_images: How many there shall be.
        seed: Of the latent vectors, classes and λ.
        class_mix_alpha: Both parameters of λ's Beta distribution; None for single classes.

    Returns:
        How many were written.
    """
    if num_images < 1:
        raise UsageError(f"a transfer set of {num_images} images", hint="--num-images 10000")
    for written in folder.glob("*/"):  # where nothing is missing, nothing else would look there
        remove_leftovers(written)
    missing = [number for number in range(num_images) if not _path(folder, number).exists()]
    for start in range(0, len(missing), _AT_ONCE):
        numbers = missing[start : start + _AT_ONCE]
        for number, pixels in zip(numbers, _generate(generator, numbers, seed, class_mix_alpha), strict=True):
            place = _path(folder, number)
            picture = Image.fromarray(pixels.numpy())
            write_file(place, partial(picture.save, format="PNG"), option="FOLDER")
    return len(missing)


@torch.no_grad()
def _generate(generator: ConditionalGenerator, numbers: list[int], seed: int, alpha: float | None) -> torch.Tensor:
    """uint8, (B, H, W, 3)."""
    wanted = draw_wanted(
        lambda number: random_numbers(seed, "transfer_set", number),
        numbers,
        latent_features=generator.latent_features,
        num_classes=generator.num_classes,
        class_mix_alpha=alpha,
    )
    images = generator(wanted.latent, generator.class_vectors(wanted.classes, wanted.others, wanted.weight))
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number // 1000:06d}" / f"{number:09d}.png"
