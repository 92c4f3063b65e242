"""Measures what distillation gains.

    python benchmarks/results.py --data FOLDER --out FOLDER [--only GLOB] [--seeds N] [--table]

Each experiment of EXPERIMENTS trains its teachers once and its arms once a seed, at equal steps, and measures every
model on the same held-out images. ``--table`` prints docs/results.md's tables: means over the seeds, and the paired
difference from the first arm with its 95 % interval (Student's t over the seeds). What is finished is kept in OUT, and
the same command goes on where it was. FOLDER is laid out as benchmarks/defaults.py says.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import kdzoo
from kdzoo.engine.metrics.intervals import mean_interval

LITE0, LITE1 = (f"tf_efficientnet_{name}={name}.safetensors" for name in ("lite0", "lite1"))
"""ImageNet's weights, files of FOLDER."""
FEW = 100
"""Images a class of a set whose name ends in ``-few``."""


@dataclass(frozen=True)
class Training:
    """A model of an experiment.

    Attributes:
        name: What the table calls it.
        model: A model reference; the file of one is looked for in FOLDER.
        recipe: A recipe, or None for the verb's default.
        teachers: Names of the experiment's teachers; none for training on labels.
        settings: By dotted path.
        arguments: Further arguments of ``kdzoo.train`` or ``kdzoo.distill``; paths below FOLDER stand in braces.
    """

    name: str
    model: str
    recipe: str | None = None
    teachers: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A question, the models that answer it, and the images that they are measured on.

    Attributes:
        name: Of its table.
        question: What it asks, a line.
        data: Data spec of the labelled training images, below FOLDER.
        on: Data specs of the held-out images, below FOLDER; measured together.
        teachers: Trained once, with seed 0.
        arms: Trained once a seed; the others are compared with the first.
        seeds: How many.
    """

    name: str
    question: str
    data: str
    on: tuple[str, ...]
    teachers: tuple[Training, ...]
    arms: tuple[Training, ...]
    seeds: int = 5


_QUICK = {"budget": "quick"}


def _defaults(student: str, teacher: str, **arguments: Any) -> tuple[Training, ...]:
    """What ``kdzoo train`` and ``kdzoo distill`` do with a student when they are told nothing else, at one budget."""
    given = {**_QUICK, **arguments}
    return (
        Training("labels", student, arguments=given),
        Training("distilled", student, teachers=(teacher,), arguments=given),
    )


EXPERIMENTS = (
    Experiment(
        "digits",
        "a student from random weights, 1,437 labelled digits of 8 px",
        "digits",
        ("digits",),
        (Training("resnet20", "cifar_resnet20", arguments=_QUICK),),
        _defaults("cifar_resnet8", "resnet20"),
    ),
    Experiment(
        "few-labels",
        "a student from random weights, 1,000 labelled images of 32 px and 8,000 without labels",
        "cifar10-few",
        ("cifar10",),
        (Training("lite0", LITE0, arguments={"image_size": 96}),),
        (
            Training("labels", "cifar_resnet8", arguments={"epochs": 45, "batch_size": 64}),
            Training("distilled", "cifar_resnet8", teachers=("lite0",), arguments={"epochs": 45, "batch_size": 64}),
            Training(
                "distilled, unlabeled too",
                "cifar_resnet8",
                teachers=("lite0",),
                arguments={"epochs": 5, "batch_size": 64, "unlabeled": "{data}/cifar10/unlabeled"},
            ),
        ),
    ),
    Experiment(
        "cifar",
        "a student from random weights, 10,000 labelled images of 32 px",
        "cifar10",
        ("cifar10",),
        (Training("lite0", LITE0, arguments={"image_size": 96, "epochs": 4}),),
        _defaults("cifar_resnet8", "lite0"),
    ),
    Experiment(
        "clothing",
        "a student from random weights, 3,068 labelled photographs",
        "clothing",
        ("clothing", "clothing@test"),
        (Training("lite0", LITE0, arguments={"image_size": 96, "epochs": 8}),),
        _defaults("cifar_resnet8", "lite0"),
    ),
    Experiment(
        "clothing-weights",
        "a student from ImageNet's weights, 3,068 labelled photographs",
        "clothing",
        ("clothing", "clothing@test"),
        (Training("lite1", LITE1, arguments={"image_size": 128, "epochs": 6}),),
        _defaults(LITE0, "lite1", image_size=96),
    ),
)


def _spec(name: str, data: Path, out: Path) -> str:
    """The spec of a set: a folder of FOLDER where it is one; the first images of each class of one for ``-few``."""
    whole, few = data / name.partition("@")[0].removesuffix("-few"), out / name
    if not name.endswith("-few"):
        return str(data / name) if whole.is_dir() else name
    if not few.exists():
        for folder in sorted((whole / "train").iterdir()):
            (few / "train" / folder.name).mkdir(parents=True)
            for image in sorted(folder.iterdir())[:FEW]:
                shutil.copy(image, few / "train" / folder.name)
        shutil.copytree(whole / "val", few / "val")
    return str(few)


def _train(one: Training, experiment: Experiment, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Train a model into its folder and measure it; an interrupted one goes on."""
    folder = out / experiment.name / f"{one.name}-{seed}"
    architecture, equals, file = one.model.partition("=")
    model = f"{architecture}={data / file}" if equals else one.model
    teachers = [str(out / experiment.name / f"{name}-0") for name in one.teachers]
    arguments = {
        key: value.format(data=data) if isinstance(value, str) else value for key, value in one.arguments.items()
    }
    shared = {"data": _spec(experiment.data, data, out), "settings": dict(one.settings), "seed": seed, "workers": 0}
    began = time.process_time()
    if teachers:
        kdzoo.distill(one.recipe, student=model, teachers=teachers, out=folder, resume=True, **{**shared, **arguments})
    else:
        kdzoo.train(model, recipe=one.recipe, out=folder, resume=True, **{**shared, **arguments})
    seconds = time.process_time() - began
    measured = kdzoo.evaluate([str(folder)], on=[_spec(spec, data, out) for spec in experiment.on])
    images = [result.document.num_images for result in measured]
    right = sum(result.metrics["top1"] * number for result, number in zip(measured, images, strict=True))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return {"experiment": experiment.name, "model": one.name, "seed": seed, "top1": right / sum(images),
            "images": sum(images), "cpu_s": round(seconds)}  # fmt: skip


def table(experiment: Experiment, rows: list[dict[str, Any]]) -> str:
    """An experiment's models as a Markdown table."""
    by_model: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_model.setdefault(row["model"], {})[row["seed"]] = row
    lines = [f"### {experiment.name}: {experiment.question}", ""]
    lines += ["| model | top-1 % | difference (95 %) | ahead | CPU s |", "|---|---|---|---|---|"]
    first = by_model.get(experiment.arms[0].name, {})
    for one in (*experiment.teachers, *experiment.arms):
        own = by_model.get(one.name, {})
        if not own:
            continue
        values = [row["top1"] for row in own.values()]
        spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
        both = [own[seed]["top1"] - first[seed]["top1"] for seed in own if seed in first]
        shown, ahead = "", ""
        found = mean_interval(both) if one in experiment.arms[1:] else None
        if found is not None:
            centre, low, high = found
            shown = f"{centre:+.2f} ({low:+.2f} to {high:+.2f})"
            ahead = f"{sum(value > 0 for value in both)} of {len(both)}"
        cpu = mean(row["cpu_s"] for row in own.values())
        lines.append(f"| {one.name} | {mean(values):.2f}{spread} | {shown} | {ahead} | {cpu:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Train and measure what is not finished, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="of EXPERIMENT:MODEL")
    parser.add_argument("--seeds", type=int, default=5, help="of each experiment at most (default: 5)")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if options.table:
        for experiment in EXPERIMENTS:
            print(table(experiment, [row for row in rows if row["experiment"] == experiment.name]), end="\n\n")
        return
    done = {(row["experiment"], row["model"], row["seed"]) for row in rows}
    for experiment in EXPERIMENTS:
        wanted = [(one, 0) for one in experiment.teachers]
        wanted += [
            (one, seed) for seed in range(1, min(experiment.seeds, options.seeds) + 1) for one in experiment.arms
        ]
        for one, seed in wanted:
            key = (experiment.name, one.name, seed)
            if key in done or not fnmatch.fnmatch(f"{experiment.name}:{one.name}", options.only):
                continue
            row = _train(one, experiment, seed, options.data, options.out)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
