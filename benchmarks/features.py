"""Measures what a backbone that learnt a teacher's features on images without labels is worth to labelled ones.

    python benchmarks/features.py --data FOLDER --out FOLDER [--seeds 5] [--student REF] [--view PIXELS] [--table]

FOLDER holds ``cifar10`` (class folders ``train`` and ``val``, and a heap of images in ``unlabeled``) and
``lite0.safetensors`` (tf_efficientnet_lite0's ImageNet weights), the teacher, whose classifier is left off. For each
seed a student learns its features on the unlabeled images by the recipe ``features``; then, each beside the same
network without them,

* ``linear``: a linear classifier on the frozen features, from all labels; the other side has random weights;
* ``linear, few``: the same from few labels; beside random weights, and beside a network that `from_scratch` trained on
  these few labels;
* ``trained, few``: the whole network trained on the few labels, by ``finetune``; beside `from_scratch`.

A line a measurement is kept in OUT/results.jsonl, so that the same command goes on where it was; ``--table`` prints the
means and the paired differences with their 95 % intervals over the seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kdzoo
from kdzoo.engine.metrics.intervals import mean_interval

FEW = 20
"""Labelled images a class of the few."""

PAIRS = (("linear", "features", "random"), ("linear, few", "features", "random"))
PAIRS += (("linear, few", "features", "from_scratch"), ("trained, few", "features", "from_scratch"))


def few_labels(source: Path, folder: Path) -> Path:
    """The first images of each class by name to train on, all of ``val`` to measure on."""
    if not folder.is_dir():
        for place in sorted((source / "train").iterdir()):
            (folder / "train" / place.name).mkdir(parents=True)
            for file in sorted(place.iterdir())[:FEW]:
                shutil.copy(file, folder / "train" / place.name / file.name)
        shutil.copytree(source / "val", folder / "val")
    return folder


def measure(args: argparse.Namespace, seed: int, keep: Callable[[dict[str, Any]], None]) -> None:
    """All of one seed's measurements."""
    cifar, folder = args.data / "cifar10", args.out / f"seed-{seed}"
    few = few_labels(cifar, args.out / "few")
    shared: dict[str, Any] = {"seed": seed, "workers": args.workers, "resume": True}
    length: dict[str, Any] = {"epochs": 1} if args.tiny else {}
    teacher = f"tf_efficientnet_lite0={args.data / 'lite0.safetensors'}"
    view, small = {"teachers.view": args.view}, {"training.log_every_steps": 10}
    learnt = kdzoo.distill(
        "features", student=args.student, teachers=[teacher], data=str(cifar / "unlabeled"),
        settings={**view, **small}, out=folder / "features", **shared, **length,
    )  # fmt: skip
    keep({"what": "distilled", "side": "features", "value": learnt.metrics["feature_cosine"]})
    scratch = kdzoo.train(
        args.student, recipe="from_scratch", data=str(few), settings=small, out=folder / "scratch", **shared, **length
    )
    tuned = kdzoo.train(
        learnt.model, recipe="finetune", data=str(few), settings=small, out=folder / "tuned", **shared, **length
    )
    for side, result in (("features", tuned), ("from_scratch", scratch)):
        keep({"what": "trained, few", "side": side, "value": result.metrics["top1"]})
    for what, task in (("linear", cifar), ("linear, few", few)):
        backbones = {"features": learnt.run, **({"from_scratch": scratch.run} if task is few else {})}
        for side, run in backbones.items():
            baseline = "random" if side == "features" else None
            found = kdzoo.measure_transfer(
                str(task), backbone=run, baseline=baseline, mode="linear", solver="lbfgs",
                seeds=[seed], image_size=args.image_size, workers=args.workers, resume=True,
                out=folder / f"{what}-{side}".replace(", ", "-"),
            )  # fmt: skip
            for name, one in zip((side, "random"), found.results, strict=False):
                keep({"what": what, "side": name, "value": one.metrics["top1"]})


def table(rows: list[dict[str, Any]]) -> str:
    """The means of both sides, top-1, and their difference over the seeds that have both."""
    lines = ["| | seeds | features | beside | difference | 95 % interval |", "| --- | --: | --: | --: | --: | --- |"]
    values = {(row["what"], row["side"], row["seed"]): row["value"] for row in rows}
    for what, side, other in PAIRS:
        seeds = [seed for w, s, seed in values if (w, s) == (what, side) and (what, other, seed) in values]
        if not seeds:
            continue
        one, two = ([values[what, name, seed] for seed in seeds] for name in (side, other))
        differences = [a - b for a, b in zip(one, two, strict=True)]
        found = mean_interval(differences)
        interval = "one seed" if found is None else f"{found[1]:+.1f} to {found[2]:+.1f}"
        mean = sum(differences) / len(differences)
        means = f"{sum(one) / len(one):.1f} | {other} {sum(two) / len(two):.1f}"
        lines.append(f"| {what} | {len(seeds)} | {means} | {mean:+.1f} | {interval} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--student", default="cifar_resnet20")
    parser.add_argument("--view", type=int, default=64, help="pixels at which the teacher sees each image")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="an epoch of everything, to see that it runs")
    parser.add_argument("--table", action="store_true", help="print the table of what is there and end")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "results.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    for seed in () if args.table else range(args.seeds):
        if any(row["seed"] == seed and row["what"] == "whole" for row in rows):
            continue
        found: list[dict[str, Any]] = []
        measure(args, seed, found.append)
        rows += [{"seed": seed, **row} for row in (*found, {"what": "whole", "side": "", "value": 0.0})]
        kept.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
