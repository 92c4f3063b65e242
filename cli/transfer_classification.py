"""``kdzoo transfer TASK`` for tasks of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..base.setting_values import BetaParameter, Epochs, LabelSmoothing, LearningRate, WeightDecay
from .commands import VerbCommand
from .dry_run import print_verdict, verdict
from .options import COUNT, PIXELS, PRECISION, section
from .output import echo, is_main, print_fields, print_json, print_remarks, print_rows, print_settings, work
from .settings import given_settings, set_option, setting, within
from .transfer_options import (
    HOW,
    WHAT,
    backbone_options,
    batch_size_option,
    measurement_options,
    parse_seeds,
    seeds_option,
)

if TYPE_CHECKING:
    from .. import PlannedTransfer, TransferReport

_VALUES = {
    "epochs": "epochs",
    "batch_size": "batch_size",
    "lr": "lr",
    "weight_decay": "weight_decay",
    "label_smoothing": "label_smoothing",
    "mixup": "mixup_alpha",
    "stage_lr": "stage_lr",
    "image_size": "image_size",
    "neighbours": "neighbours",
}
"""The protocol's field behind each option."""
_ARGUMENTS = (
    *("backbone", "baseline", "mode", "protocol", "solver", "partition", "search", "precision", "quick", "device"),
    *("workers", "out", "features", "resume"),
)
"""What `plan_transfer` takes beside settings."""


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo transfer cub200 --backbone runs/student --baseline resnet50.a1_in1k",
            "Fine-tune both with three seeds: each accuracy, the difference, its interval.",
        ),
        (
            "kdzoo transfer voc2007 --backbone runs/student --mode linear --solver lbfgs",
            "Features once, then the optimum.",
        ),
        ("kdzoo transfer dtd --partition 2 --backbone ssld_resnet50d --protocol ssld --dry-run", "What it would take."),
    ],
)
@section(
    WHAT,
    backbone_options,
    setting(
        "--mode",
        type=click.Choice(["finetune", "linear", "knn"]),
        default="finetune",
        show_default=True,
        help="Train the whole network, its last layer alone, or nothing.",
    ),
    setting("--partition", type=click.IntRange(1, 10), metavar="N", help="Of dtd and sun397.  [default: 1]"),
)
@section(
    HOW,
    setting(
        "--protocol",
        type=click.Choice(["meal_v2", "ssld"]),
        default="meal_v2",
        show_default=True,
        help="Whose settings: MEAL V2 App. A, or SSLD §4.6 with PaddleClas's.",
    ),
    setting(
        "--solver",
        type=click.Choice(["sgd", "lbfgs", "views"]),
        default="sgd",
        show_default=True,
        help="Of linear mode: SGD or L-BFGS on features computed once, or SGD on random views.",
    ),
    seeds_option(3),
    setting("--epochs", type=within(Epochs), metavar="N", help="Passes over the training images."),
    batch_size_option,
    setting("--lr", type=within(LearningRate), metavar="RATE", help="Base learning rate of SGD."),
    setting("--weight-decay", type=within(WeightDecay), metavar="RATE", help="On every trained parameter."),
    setting(
        "--label-smoothing", type=within(LabelSmoothing), metavar="EPSILON", help="Of fine-tuning on single classes."
    ),
    setting("--mixup", type=within(BetaParameter), metavar="ALPHA", help="MixUp; 0 for none."),
    setting(
        "--stage-lr",
        metavar="none|auto|LIST",
        help="Multipliers of the stages' learning rates, stem first: 0.1,0.1,0.2,0.2,0.3.",
    ),
    setting("--image-size", type=PIXELS, metavar="PIXELS", help="Side of training and test crops."),
    setting("--neighbours", type=COUNT, metavar="K", help="Of kNN."),
    setting("--search", metavar="full|GRID", help="Choose values on held-out images: full, or 'lr=0.1,0.01'."),
    setting("--precision", type=PRECISION, default="fp32", help="Of the forward pass."),
    setting("--quick", is_flag=True, help="A fast look: few epochs, one seed."),
    set_option("that --dry-run shows"),
)
@measurement_options(
    "runs, features and results",
    "runs/transfer-TASK",
    setting("--features", metavar="DIR", help="Where features are kept; OUT/features by default."),
)
def command(ctx: click.Context, form: str, as_json: bool, dry_run: bool, **options: Any) -> None:
    """Measure whether a backbone carries over to a data set of classes, beside its baseline.

    Both are trained with the same seeds on the same views. Printed are each metric with the 95 % interval of its mean
    over the seeds, and the difference, seed by seed, with its own.
    """
    from .. import plan_transfer

    arguments = {name: options[name] for name in _ARGUMENTS}
    arguments["seeds"], arguments["settings"] = parse_seeds(options["seeds"]), given_settings(ctx, _VALUES)
    with work():
        planned = plan_transfer(str(ctx.info_name), **arguments)
    if dry_run:
        if is_main() and not _show_plan(planned, as_json=as_json or form == "json"):
            ctx.exit(1)
        return
    with work():
        report = planned.start()
    if is_main():
        _show(report, "json" if as_json else form)


def _show_plan(planned: PlannedTransfer, *, as_json: bool) -> bool:
    """Print a plan; returns whether it could start."""
    with work():
        cost = planned.cost()
    plan, out = planned.plan, str(planned.out)
    against = [problem.sentence for problem in plan.problems]
    document = {**plan.to_dict(), **verdict(against), "out": out, "cost": cost.to_dict()}
    if as_json:
        print_json(document)
        return not against
    seconds = "" if cost.seconds is None else f"about {cost.seconds / 60:.1f} minutes of computing here ({cost.device})"
    print_verdict(against, seconds)
    echo()
    print_fields(
        {
            "task": plan.task,
            "what": plan.line(),
            "backbone": plan.backbone,
            "baseline": plan.baseline or "none",
            "seeds": ", ".join(map(str, plan.seeds)),
            "out": out,
            "trainings": f"{cost.trainings} of {cost.steps:,} steps" if cost.trainings else "none",
            "images": f"{cost.images:,} forward and back, {cost.test_images:,} forward only",
            "time": seconds or "not measured",
        }
    )
    echo()
    print_settings(document["settings"])
    print_remarks(("note", plan.notes))
    return not against


def _show(report: TransferReport, form: str) -> None:
    if form == "json":
        print_json(report.to_dict())
        return
    plan = report.plan
    rows = []
    for reference, result in zip(plan.references, report.results, strict=True):
        seeds = len(plan.seeds_of(reference))
        row: dict[str, Any] = {"model": reference, "task": plan.task, "mode": plan.mode, "seeds": seeds}
        for metric in report.shown:
            interval = result.intervals.get(metric)
            row |= {metric: result.metrics[metric], f"{metric} low": interval and interval.low}
            row |= {f"{metric} high": interval and interval.high}
        rows.append(row)
    columns = ["model", "task", "mode", "seeds"]
    for metric in report.shown:
        with_ends = any(row[f"{metric} low"] is not None for row in rows)
        columns += [metric, f"{metric} low", f"{metric} high"] if with_ends else [metric]
    print_rows(rows, {name: name for name in columns}, form)
    if form == "table":
        echo(report.sentence)
        echo(f"results: {report.files[0].parent}")
