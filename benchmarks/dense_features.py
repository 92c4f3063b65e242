"""Measures what a backbone that learnt a teacher's features on images without masks is worth to a segmentor.

    python benchmarks/dense_features.py --out FOLDER --teacher tf_efficientnet_lite0=lite0.safetensors [--table]

The images are the segmentation tests' squares and discs, in colours that say nothing: each image draws its own, so that
a class is a form. The student learns the teacher's features on 2,000 images without masks by the recipe ``features``,
once alone and once with hints of its stages; then for each seed an FCN over either, over the same network with random
weights, and over the teacher is trained on 64 images with masks and measured on 128 others. A line a seed is kept in
OUT/results.jsonl, so that the same command goes on where it was; it has no teacher after the first TEACHER_SEEDS.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kdzoo
from kdzoo.engine.metrics.intervals import mean_interval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "miniatures"))
from drawn_masks import VOID, draw

SIZE = (64, 64)
SMALL = {"crop": SIZE, "scale": SIZE, "test_scale": SIZE, "factors": (0.75, 1.5), "output_stride": 16}


def write(images: Path, masks: Path | None, first: int, count: int) -> None:
    """Draw images, each in colours of its own, and their masks."""
    for folder in filter(None, (images, masks)):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        labels = draw(seed, SIZE)[1]
        rng = np.random.default_rng((seed, 1))
        pixels = rng.integers(0, 256, (3, 3))[np.maximum(labels, 0)] + rng.normal(0, 25, (*labels.shape, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(images / f"{seed}.png")
        if masks is not None:
            Image.fromarray(np.where(labels == VOID, 255, labels).astype(np.uint8)).save(masks / f"{seed}.png")


def measure(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One seed's mean intersections over union, percent."""
    folder, found = args.out / f"seed-{seed}", dict[str, Any](seed=seed)
    sides: list[tuple[str, str, str | None]] = []
    for name, weight in (("features", 0.0), ("hints", args.hints)):
        settings = {"teachers.view": SIZE[0], "student.init": "random", "objective.features.weight": weight}
        learnt = kdzoo.distill(
            "features", student=args.student, teachers=[args.teacher], data=str(args.out / "unlabeled"), seed=0,
            epochs=args.epochs, settings=settings, workers=0, resume=True, out=args.out / name,
        )  # fmt: skip
        found[f"{name}_cosine"] = learnt.metrics["feature_cosine"]
        sides.append((name, learnt.run, "random" if name == "features" else None))
    for name, backbone, baseline in (
        *sides,
        *((("teacher", args.teacher, None),) if seed < args.teacher_seeds else ()),
    ):
        result = kdzoo.measure_segmentation(
            f"masks:{args.out / 'drawn'}", backbone=backbone, baseline=baseline, engine="torchvision", head="fcn",
            iterations=args.iterations, batch_size=8, lr=0.02, seeds=[seed], workers=0, resume=True, settings=SMALL,
            out=folder / name,
        )  # fmt: skip
        for side, one in zip((name, "random"), result.results, strict=False):
            found[side] = one.metrics["mIoU"]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Means, and paired differences with their 95 % intervals over the seeds."""
    arms = ("random", "features", "hints", "teacher")
    lines = [f"{arm}: {np.mean([row[arm] for row in rows if arm in row]):.1f}" for arm in arms]
    for one, other in (("features", "random"), ("hints", "random"), ("hints", "features")):
        mean, *ends = mean_interval([row[one] - row[other] for row in rows]) or (np.nan,) * 3
        lines.append(f"{one} - {other}: {mean:+.1f} ({', '.join(f'{end:+.1f}' for end in ends)})")
    return "\n".join(lines)


def main() -> None:
    """Draw what is not there, measure the seeds that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--student", default="mobilenetv3_small_050")
    parser.add_argument("--hints", type=float, default=0.01, help="their weight")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher-seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--table", action="store_true", help="print the table of what is there and end")
    args = parser.parse_args()
    if not args.table:
        write(args.out / "unlabeled", None, 10_000, 2_000)
        for split, first, count in (("train", 0, 64), ("val", 1_000, 128)):
            write(args.out / "drawn" / "images" / split, args.out / "drawn" / "masks" / split, first, count)
        (args.out / "drawn" / "classes.txt").write_text("ground\nsquare\ndisc\n")
    kept = args.out / "results.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    for seed in () if args.table else range(len(rows), args.seeds):
        rows.append(measure(args, seed))
        kept.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
