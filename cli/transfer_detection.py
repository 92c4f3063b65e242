"""``kdzoo transfer TASK`` for detection."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from ..errors import Interrupted, UsageError
from .commands import VerbCommand
from .listing import format_options
from .output import literal, print_fields, print_json, print_rows, work
from .settings import config_option, setting, source_of

if TYPE_CHECKING:
    from ..transfer.detection.cost import DetectionCost
    from ..transfer.detection.plan import DetectionPlan
    from ..transfer.detection.run import Comparison

WHAT, HOW, WHERE = "What", "How", "The measurement"

_FREEZE = {"none": 0, "stem": 1, "first": 2, "all": 5}
_COUNT = click.IntRange(min=1)


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo transfer coco --backbone ssld_resnet50d --baseline resnet50d.ra2_in1k --dry-run",
            "The paper's row: settings with their sources, cost, what is missing.",
        ),
        (
            "kdzoo transfer coco --backbone meal_v2_resnet50 --baseline resnet50.tv_in1k --freeze none",
            "MEAL V2's Table 7, all layers fine-tuned.",
        ),
        (
            "kdzoo transfer coco:PATH --backbone runs/student --detector faster_rcnn --epochs 20 --lr 0.005",
            "Your own data in COCO's format.",
        ),
        ("torchrun --nproc-per-node 8 -m kdzoo transfer coco --backbone ssld_resnet50d", "Several processes."),
    ],
)
@setting("--backbone", metavar="REF", required=True, section=WHAT, help="The model whose features are measured.")
@setting(
    "--baseline",
    metavar="REF",
    section=WHAT,
    help="What it is compared with, on the same images in the same order; 'random' for random weights.",
)
@setting(
    "--detector",
    type=click.Choice(["retinanet", "faster_rcnn"]),
    default="retinanet",
    show_default=True,
    section=WHAT,
    help="Both with a feature pyramid.",
)
@setting(
    "--engine",
    type=click.Choice(["auto", "torchvision", "detectron2"]),
    default="auto",
    show_default=True,
    section=WHAT,
    help="Whose heads and losses; auto is detectron2 where it can be imported.",
)
@setting(
    "--schedule", type=click.Choice(["1x", "3x"]), default="1x", show_default=True, section=HOW, help="detectron2's."
)
@setting(
    "--iterations", type=_COUNT, metavar="N", section=HOW, help="Another length; the rate's drops keep their places."
)
@setting("--epochs", type=click.FloatRange(min=0, min_open=True), metavar="N", section=HOW, help="The same, in passes.")
@setting("--batch-size", type=_COUNT, metavar="N", section=HOW, help="Images in a batch, all processes together.")
@setting("--lr", type=float, metavar="RATE", section=HOW, help="Base learning rate; it is never scaled by itself.")
@setting(
    "--freeze",
    metavar="none|stem|first|all|0-5",
    section=HOW,
    help="Backbone stages that do not learn.  [default: first, the stem and the first stage]",
)
@setting(
    "--batchnorm",
    type=click.Choice(["frozen", "train"]),
    section=HOW,
    help="Of the backbone: a fixed scale and shift, or learning.  [default: frozen]",
)
@setting(
    "--lr-multipliers",
    metavar="ssld|LIST",
    section=HOW,
    help="Rates of the backbone's stages, stem first: 0.05,0.05,0.1,0.1,0.15.",
)
@setting("--seeds", metavar="N|LIST", section=HOW, help="How many, or which: 3, or 0,7.  [default: 1]")
@setting(
    "--subset", type=_COUNT, metavar="N", section=HOW, help="So many training and evaluation images: a quick look."
)
@setting(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    section=HOW,
    help="Any setting that --dry-run shows. Repeatable.",
)
@setting("--out", metavar="DIR", section=WHERE, help="Holds runs, results and report; runs/transfer-TASK-… by default.")
@setting("--resume", is_flag=True, section=WHERE, help="Go on with the runs in --out, or start them.")
@setting("--workers", type=click.IntRange(min=0), metavar="N", section=WHERE, help="Processes that read images.")
@setting(
    "--device", metavar="NAME", default="auto", show_default=True, section=WHERE, help="auto, cpu, cuda or cuda:N."
)
@config_option(section=WHERE)
@click.option("--dry-run", is_flag=True, help="Show settings, their sources, cost and what is missing; start nothing.")
@format_options
@click.pass_context
def command(ctx: click.Context, form: str, as_json: bool, dry_run: bool, **options: Any) -> None:
    """Train a detector over a backbone, beside its baseline, and measure COCO's average precision.

    TASK is coco or voc2007-detection, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or for any data in
    COCO's format (annotations/instances_train.json, train/, and the same for val).
    """
    from ..transfer.detection import run_plan

    with work():
        plan = _plan(ctx, options)
    out = options["out"] or default_folder(str(ctx.info_name), options["detector"], options["backbone"])
    as_json = as_json or form == "json"
    if dry_run:
        if _is_main():
            _show_plan(plan, out, as_json=as_json)
        return
    with work():
        if _is_main():
            _announce(plan)
        try:
            comparison = run_plan(plan, out=out, resume=options["resume"])
        except Interrupted:
            if _is_main():
                _say_how_to_go_on(options["out"], out)
            raise
    if _is_main():
        _show(comparison, form, as_json=as_json)


def default_folder(task: str, detector: str, backbone: str) -> str:
    """Where a measurement goes that names no folder."""
    last = task.rstrip("/").rpartition("/")[2]
    name = f"transfer-{last}-{detector}-{backbone.rstrip('/').rpartition('/')[2]}"
    return os.path.join("runs", re.sub(r"[^\w.-]+", "_", name))


def _plan(ctx: click.Context, options: dict[str, Any]) -> DetectionPlan:
    from ..transfer.detection import make_plan
    from ..transfer.detection.settings import parse_settings

    given = parse_settings(options["assignments"])
    for option, name, value in (
        ("batch_size", "batch_size", options["batch_size"]),
        ("lr", "lr", options["lr"]),
        ("freeze", "frozen_stages", _stages(options["freeze"])),
        ("batchnorm", "batchnorm", options["batchnorm"]),
        ("lr_multipliers", "lr_multipliers", _multipliers(options["lr_multipliers"])),
    ):
        if value is not None:
            if name in given:
                raise UsageError(f"{name} is set twice: by --set and by --{option}", hint="leave one of them out")
            given[name] = (value, source_of(ctx, option) or f"--{option}")
    for name in ("iterations", "detector"):
        if name in given:
            raise UsageError(f"{name} has an option of its own", hint=f"write --{name} {literal(given[name][0])}")
    return make_plan(
        str(ctx.info_name),
        backbone=options["backbone"],
        baseline=options["baseline"],
        detector=options["detector"],
        schedule=options["schedule"],
        engine=options["engine"],
        iterations=options["iterations"],
        epochs=options["epochs"],
        subset=options["subset"],
        seeds=_seeds(options["seeds"]),
        given=given,
        workers=min(8, os.cpu_count() or 1) if options["workers"] is None else options["workers"],
        device=options["device"],
    )


def _stages(text: str | None) -> int | None:
    if text is None:
        return None
    if text in _FREEZE:
        return _FREEZE[text]
    if text in {str(number) for number in range(6)}:
        return int(text)
    raise UsageError(f"--freeze {text!r} is no part of a backbone", hint="none, stem, first, all, or 0 to 5 stages")


def _multipliers(text: str | None) -> tuple[float, ...] | None:
    from ..transfer.detection.settings import SSLD_MULTIPLIERS, parse_settings

    if text is None or text == "none":
        return None
    return SSLD_MULTIPLIERS if text == "ssld" else parse_settings([f"lr_multipliers={text}"])["lr_multipliers"][0]


def _seeds(text: str | None) -> tuple[int, ...]:
    """``3`` is three seeds, ``0,7`` are these."""
    if text is None:
        return (0,)
    try:
        if "," not in text:
            return tuple(range(int(text)))
        return tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        raise UsageError(f"--seeds takes a number or a list, not {text!r}", hint="write 3, or 0,7") from None


def _announce(plan: DetectionPlan) -> None:
    from ..engine.progress import say

    say(f"engine: {plan.engine.note}")
    for line in plan.engine.install:
        say(f"  for detectron2: {line}")
    for note in plan.notes:
        say(f"note: {note}")


def _say_how_to_go_on(given_out: str | None, out: str) -> None:
    import sys
    from pathlib import Path

    from ..engine.progress import say
    from .start import resume_command

    say(f"to go on: {resume_command(sys.argv, given_out, Path(out))}")


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


# -- what is shown ---------------------------------------------------------------------------------------------------


def _show_plan(plan: DetectionPlan, out: str, *, as_json: bool) -> None:
    from ..transfer.detection import estimate
    from ..transfer.detection.papers import paper_rows

    with work():
        cost = estimate(plan)
    rows = paper_rows() if plan.spec.name == "coco" else []
    if as_json:
        papers = [row.__dict__ for row in rows]
        print_json({**plan.to_dict(), "out": out, "cost": cost.to_dict() if cost else None, "papers": papers})
        return
    fields = {"task": str(plan.spec), **{side.role: side.reference for side in plan.sides}, "engine": plan.engine.note}
    fields["data"] = _data(plan)
    fields["protocol"] = plan.line()
    fields["seeds"] = literal(plan.seeds)
    fields["folder"] = out
    print_fields({**fields, **(_cost(cost) if cost else {"cost": "the backbone cannot be built here"})})
    click.echo()
    entries = [
        {"setting": name, "value": literal(entry["value"]), "from": entry["source"]}
        for name, entry in plan.resolved.to_dict().items()
    ]
    print_rows(entries, {"setting": "setting", "value": "value", "from": "from"}, "table")
    if rows:
        click.echo()
        shown = [{**row.__dict__, "run": "yes" if row.detector == plan.settings.detector else ""} for row in rows]
        headings = {"label": "paper's row", "source": "from", "baseline": "before", "ours": "distilled", "note": "note"}
        print_rows(shown, {**headings, "run": "same detector"}, "table")
    lines = [f"note: {text}" for text in (*plan.notes, *(cost.notes if cost else ()))]
    lines += [f"for detectron2: {line}" for line in plan.engine.install]
    lines += [f"missing: {problem.message} ({problem.hint})" for problem in plan.problems]
    if lines:
        click.echo()
    for line in lines:
        click.echo(line)


def _data(plan: DetectionPlan) -> str:
    if plan.train is None or plan.val is None:
        return f"missing; {plan.num_classes} classes expected"
    boxes = int(plan.train.boxes_per_class().sum())
    return (
        f"{len(plan.train):,} training images with {boxes:,} boxes, {len(plan.val):,} evaluation images, "
        f"{plan.num_classes} classes"
    )


def _cost(cost: DetectionCost) -> dict[str, str]:
    fields = {"detector": f"{cost.parameters / 1e6:.1f} M parameters, {cost.learning_parameters / 1e6:.1f} M learn"}
    if cost.macs is not None:
        fields["detector"] += (
            f"; {cost.macs / 1e9:.0f} G multiply-adds to train on a {cost.view[0]}x{cost.view[1]} image"
        )
    if cost.memory_bytes is not None:
        how = "measured" if cost.memory_measured else "estimated from what the backward pass keeps"
        fields["memory"] = f"{cost.memory_bytes / 2**30:.1f} GiB for a batch in one process, {how}"
    fields["disk"] = f"{cost.disk_bytes / 2**30:.2f} GiB of checkpoints"
    if cost.run_s is not None and cost.step_s is not None:
        each = f"{cost.step_s:.2f} s an iteration on {cost.device} in one process"
        fields["time"] = f"about {timedelta(seconds=round(cost.run_s))} a run, {cost.runs} in all ({each})"
    return fields


def _show(comparison: Comparison, form: str, *, as_json: bool) -> None:
    if as_json:
        print_json(comparison.to_dict())
        return
    rows = comparison.rows()
    headings = {"metric": "metric", "backbone": comparison.results[0].model.reference}
    if len(comparison.results) > 1:
        headings["baseline"] = comparison.results[1].model.reference
        headings["difference"] = "difference"
    if any(row.get("low") is not None for row in rows):
        headings |= {"low": "95 % from", "high": "to"}
    print_rows(rows, headings, form)
    if form != "table":
        return
    click.echo()
    for difference in comparison.differences:
        if difference.metric == "AP":
            click.echo(difference.sentence)
    print_fields({"protocol": comparison.plan.line(), "folder": comparison.out, "report": comparison.report})
