"""What kdzoo's loader costs beside torchvision's ImageFolder and torch's DataLoader with the same transforms.

    python benchmarks/loader.py                        # 500 generated JPEG images of 500x375
    python benchmarks/loader.py --data FOLDER --size 32

Both decode, crop, resize and flip the same files; torchvision's images stay bytes too (PILToTensor), so that neither
pays for a conversion that the other leaves to the device.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from kdzoo.data import Augmentation, BatchOrder, apply_view, draw_view, generator, open_source, train_batches


def generate(root: Path, count: int) -> None:
    """Class folders with JPEG images of 500x375, as large and as detailed as ImageNet's are on average."""
    rng = np.random.default_rng(0)
    for index in range(count):
        folder = root / "train" / f"class_{index % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(pixels + rng.integers(-10, 11, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{index:04d}.jpg", quality=90)


def torchvision_batches(root: Path, size: int, batch_size: int, workers: int) -> Iterable[tuple[torch.Tensor, ...]]:
    """The usual pipeline."""
    steps = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
    dataset = datasets.ImageFolder(root, transforms.Compose(steps))
    return DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=workers, drop_last=True)


def images_per_second(loader: Iterable[object], batch_size: int) -> float:
    """Steady rate: the first two batches, with the start of the workers, are not timed."""
    iterator = iter(loader)
    for _ in range(2):
        next(iterator)
    start, batches = time.perf_counter(), 0
    for _ in iterator:
        batches += 1
    return batches * batch_size / (time.perf_counter() - start)


def microseconds(call: Callable[[int], object], count: int) -> float:
    """Median time of a call."""
    times = []
    for index in range(count):
        start = time.perf_counter()
        call(index)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with train/CLASS/*.jpg (default: generated images)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = args.data or Path(temporary)
        if args.data is None:
            generate(root, 500)
        compare(root, args.size, args.batch_size, args.workers, args.repeats)


def compare(root: Path, size: int, batch_size: int, worker_counts: list[int], repeats: int) -> None:
    """Print both loaders' rates, then where a sample's time goes."""
    source = open_source(str(root), "train")
    augmentation = Augmentation(image_size=size)
    orders = [BatchOrder(len(source), batch_size, epochs=1, seed=0, views_per_decode=views) for views in (1, 4)]
    print(f"{len(source):,} images from {root}, {size} px, batch {batch_size}, median of {repeats}")
    print(f"{'workers':>8} {'torchvision':>14} {'kdzoo':>14} {'ratio':>7} {'4 views':>14} {'ratio':>7}   (images/s)")
    for workers in worker_counts:
        theirs: list[float] = []
        ours: list[list[float]] = [[], []]
        for _ in range(repeats):  # in turns, so that what else the machine does hits both
            theirs.append(images_per_second(torchvision_batches(root / "train", size, batch_size, workers), batch_size))
            for rates, order in zip(ours, orders, strict=True):
                rates.append(images_per_second(train_batches(source, augmentation, order, workers=workers), batch_size))
        rate = statistics.median(theirs)
        shown = [f"{statistics.median(rates):>14,.0f} {statistics.median(rates) / rate:>7.2f}" for rates in ours]
        print(f"{workers:>8} {rate:>14,.0f} {' '.join(shown)}")

    image = source.load(0)
    views = [draw_view(augmentation, *image.size, generator(0, "view", 0, index)) for index in range(200)]
    print("\nwhere a sample's time goes, in this process (median, µs)")
    rows = {
        "read and decode": lambda index: source.load(index % len(source)),
        "generator": lambda index: generator(0, "view", 0, index),
        "generator and view": lambda index: draw_view(augmentation, *image.size, generator(0, "view", 0, index)),
        "apply the view": lambda index: apply_view(image, views[index], augmentation),
    }
    for name, call in rows.items():
        print(f"  {name:<20} {microseconds(call, 200):>9.1f}")


if __name__ == "__main__":
    main()
