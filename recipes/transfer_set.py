"""A stored transfer set: generated images of mixed classes in a folder, for ``xcl_gan``'s offline mode.

``python -m kdzoo.recipes.transfer_set GENERATOR FOLDER --num-images 10000`` writes it. Image n is a pure function of
the generator, the seed and n, so that an interrupted call goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from PIL import Image

from ..data import generator as random_numbers
from ..engine.progress import say
from ..errors import KdzooError, UsageError
from ..zoo.generators import load_generator
from ..zoo.networks.conditional_generator import ConditionalGenerator
from .generated_images import draw_wanted

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
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(num_images) if not _path(folder, number).exists()]
    for start in range(0, len(missing), _AT_ONCE):
        numbers = missing[start : start + _AT_ONCE]
        for number, pixels in zip(numbers, _generate(generator, numbers, seed, class_mix_alpha), strict=True):
            place = _path(folder, number)
            place.parent.mkdir(exist_ok=True)
            temporary = place.with_name(f".{place.name}")
            Image.fromarray(pixels.numpy()).save(temporary, format="PNG")
            os.replace(temporary, place)
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


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kdzoo.recipes.transfer_set", description=__doc__)
    parser.add_argument("generator", help="the run folder of class_gan, or a generator's own folder")
    parser.add_argument("folder", type=Path, help="where the images go; then: --unlabeled FOLDER")
    parser.add_argument("--num-images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single-classes", action="store_true", help="images of one class each")
    given = parser.parse_args(arguments)
    try:
        alpha = None if given.single_classes else 1.0
        written = write_transfer_set(
            load_generator(given.generator), given.folder, given.num_images, seed=given.seed, class_mix_alpha=alpha
        )
    except KdzooError as error:
        say(f"error: {error.message}")
        if error.hint:
            say(f"hint: {error.hint}")
        return error.exit_code
    say(f"{written} images written to {given.folder}, {given.num_images - written} were there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
