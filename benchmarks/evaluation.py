"""How fast ``kdzoo.evaluate`` is beside timm's own validate.py, on the same files and the same weights.

    python benchmarks/evaluation.py --validate pytorch-image-models/validate.py

Both run in this process, in turns, with the same model, batch size, preprocessing and number of workers; a round is one
evaluation by each. Rates are those of the loop over the images, the start of its workers included; timm's warm-up batch
and both programs' building of the model are left out. That both found the same number of right answers is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

import kdzoo
from kdzoo.zoo import load_model, save_model

CLASSES = 10


def generate(root: Path, count: int) -> None:
    """val/ class folders with JPEG images of 500x375, as large and as detailed as ImageNet's are on average."""
    rng = np.random.default_rng(0)
    for index in range(count):
        folder = root / "val" / f"class_{index % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(pixels + rng.integers(-10, 11, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{index:04d}.jpg", quality=90)


def load_validate(path: Path) -> ModuleType:
    """timm's script as a module."""
    spec = importlib.util.spec_from_file_location("timm_validate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Lines(logging.Handler):
    """Keeps the lines that validate.py logs: they hold the mean time of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def by_timm(module: ModuleType, arguments: argparse.Namespace, root: Path, model: Path) -> tuple[float, float]:
    """(images/s, top-1) of validate.py."""
    options = ["--data-dir", root, "--model", arguments.model, "--num-classes", CLASSES, "--log-freq", 1]
    options += ["--checkpoint", model / "model.safetensors", "--batch-size", arguments.batch_size]
    options += ["--workers", arguments.workers, "--device", arguments.device, "--crop-pct", 0.875]
    options += ["--interpolation", "bilinear", "--img-size", arguments.size]
    if arguments.channels_last:
        options.append("--channels-last")
    handler = _Lines()
    module._logger.addHandler(handler)
    module._logger.setLevel(logging.INFO)
    module._logger.propagate = False
    try:
        found = module.validate(module.parser.parse_args([str(option) for option in options]))
    finally:
        module._logger.removeHandler(handler)
    batches = [line for line in handler.lines if line.startswith("Test:")]
    (mean,) = map(float, re.findall(r"\(([\d.]+)s,", batches[-1]))
    return arguments.images / (mean * len(batches)), float(found["top1"])


def by_kdzoo(arguments: argparse.Namespace, root: Path, model: Path) -> tuple[float, float]:
    """(images/s, top-1) of kdzoo."""
    (found,) = kdzoo.evaluate(
        f"local-dir:{model}",
        str(root),
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        device=arguments.device,
        image_size=arguments.size,
        crop_pct=0.875,
        interpolation="bilinear",
        results=root / "results",
        save=True,
    )
    return found.document.details["throughput"]["pass_images_per_s"], found.metrics["top1"]


def quietly(call: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """The call's result, without what it prints."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return call()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validate", type=Path, required=True, help="validate.py of timm's repository")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--channels-last", action="store_true", help="give timm --channels-last, which kdzoo always uses"
    )
    arguments = parser.parse_args()
    module = load_validate(arguments.validate)
    with tempfile.TemporaryDirectory() as temporary:
        root, folder = Path(temporary) / "data", Path(temporary) / "model"
        generate(root, arguments.images)
        loaded = load_model(arguments.model, pretrained=False, num_classes=CLASSES)
        loaded.class_names = tuple(f"class_{index}" for index in range(CLASSES))
        save_model(loaded, folder, provenance={})
        ratios = []
        for number in range(arguments.rounds):
            # Who goes first changes, so that a drift of the machine's load favours nobody.
            ours = theirs = (0.0, 0.0)
            for who in ("kdzoo", "timm") if number % 2 else ("timm", "kdzoo"):
                if who == "kdzoo":
                    ours = quietly(lambda: by_kdzoo(arguments, root, folder))
                else:
                    theirs = quietly(lambda: by_timm(module, arguments, root, folder))
            if round(ours[1] * arguments.images / 100) != round(theirs[1] * arguments.images / 100):
                raise SystemExit(f"top-1 differs: kdzoo {ours[1]}, timm {theirs[1]}")
            ratios.append(ours[0] / theirs[0])
            print(f"round {number + 1}: timm {theirs[0]:.1f}, kdzoo {ours[0]:.1f} images/s, ratio {ratios[-1]:.3f}")
    print(f"kdzoo / timm: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
