"""``kdzoo transfer TASK`` for segmentation."""

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
    from ..transfer.segmentation import Comparison, SegmentationCost, SegmentationPlan

WHAT, HOW, WHERE = "What", "How", "The measurement"

_FREEZE = {"none": 0, "stem": 1, "first": 2, "all": 5}
_COUNT = click.IntRange(min=1)


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo transfer cityscapes --backbone ssld_resnet50d --baseline resnet50d.ra2_in1k --dry-run",
            "The paper's row: settings with their sources, cost, what is missing.",
        ),
        ("kdzoo transfer cityscapes --backbone ssld_hrnet_w18 --head ocrnet", "OCRNet over an HRNet's four branches."),
        (
            "kdzoo transfer masks:PATH --backbone runs/student --epochs 20 --batch-size 4 --lr 0.0025",
            "Your own images/{train,val} and masks/{train,val}.",
        ),
        ("torchrun --nproc-per-node 4 -m kdzoo transfer ade20k --backbone ssld_resnet50d", "Several processes."),
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
    "--head",
    type=click.Choice(["fcn", "deeplabv3plus", "ocrnet"]),
    default="fcn",
    show_default=True,
    section=WHAT,
    help="On the backbone's maps; ocrnet is mmsegmentation's only.",
)
@setting(
    "--engine",
    type=click.Choice(["auto", "torchvision", "mmseg"]),
    default="auto",
    show_default=True,
    section=WHAT,
    help="Whose heads; auto is mmsegmentation where it can be imported.",
)
@setting(
    "--schedule",
    type=click.Choice(["20k", "40k", "80k", "160k", "320k"]),
    section=HOW,
    help="mmsegmentation's, by iterations.  [default: the data set's own]",
)
@setting("--iterations", type=_COUNT, metavar="N", section=HOW, help="Another length; the rate falls within it.")
@setting("--epochs", type=click.FloatRange(min=0, min_open=True), metavar="N", section=HOW, help="The same, in passes.")
@setting("--batch-size", type=_COUNT, metavar="N", section=HOW, help="Images in a batch, all processes together.")
@setting("--lr", type=float, metavar="RATE", section=HOW, help="Base learning rate; it is never scaled by itself.")
@setting("--crop", metavar="HxW", section=HOW, help="Of training views, and of the windows of a sliding test.")
@setting(
    "--freeze",
    metavar="none|stem|first|all|0-5",
    section=HOW,
    help="Backbone stages that do not learn.  [default: none]",
)
@setting(
    "--batchnorm",
    type=click.Choice(["frozen", "train"]),
    section=HOW,
    help="Of the backbone: a fixed scale and shift, or learning.  [default: train]",
)
@setting(
    "--class-weights", metavar="none|cityscapes|LIST", section=HOW, help="Of the loss; a number a class, or published."
)
@setting(
    "--test",
    type=click.Choice(["whole", "slide"]),
    section=HOW,
    help="Whole images, or overlapping windows of the crop's size.  [default: whole]",
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
    """Train a segmentor over a backbone, beside its baseline, and measure the mean intersection over union.

    TASK is cityscapes, voc2012 or ade20k, with :PATH for data that lies elsewhere than in $KDZOO_DATA, or masks:PATH
    for images/{train,val} beside masks/{train,val} (PNGs of class ids, 255 ignored; names in classes.txt).
    """
    from ..transfer.segmentation import run_plan

    with work():
        plan = _plan(ctx, options)
    out = options["out"] or default_folder(str(ctx.info_name), options["head"], options["backbone"])
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


def default_folder(task: str, head: str, backbone: str) -> str:
    """Where a measurement goes that names no folder."""
    last = task.rstrip("/").rpartition("/")[2]
    name = f"transfer-{last}-{head}-{backbone.rstrip('/').rpartition('/')[2]}"
    return os.path.join("runs", re.sub(r"[^\w.-]+", "_", name))


def _plan(ctx: click.Context, options: dict[str, Any]) -> SegmentationPlan:
    from ..transfer.segmentation import make_plan
    from ..transfer.segmentation.plan import class_weights
    from ..transfer.segmentation.settings import parse_settings

    given = parse_settings(options["assignments"])
    weights = options["class_weights"]
    for option, name, value in (
        ("batch_size", "batch_size", options["batch_size"]),
        ("lr", "lr", options["lr"]),
        ("crop", "crop", _crop(options["crop"])),
        ("freeze", "frozen_stages", _stages(options["freeze"])),
        ("batchnorm", "batchnorm", options["batchnorm"]),
        ("class_weights", "class_weights", None if weights is None else class_weights(weights)),
        ("test", "test_mode", options["test"]),
    ):
        if value is not None:
            if name in given:
                raise UsageError(
                    f"{name} is set twice: by --set and by --{option.replace('_', '-')}", hint="leave one of them out"
                )
            given[name] = (value, source_of(ctx, option) or f"--{option}")
    for name in ("iterations", "head"):
        if name in given:
            raise UsageError(f"{name} has an option of its own", hint=f"write --{name} {literal(given[name][0])}")
    return make_plan(
        str(ctx.info_name),
        backbone=options["backbone"],
        baseline=options["baseline"],
        head=options["head"],
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


def _crop(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None:
        raise UsageError(f"--crop {text!r} is no size", hint="height and width: --crop 512x1024")
    return int(found[1]), int(found[2])


def _stages(text: str | None) -> int | None:
    if text is None:
        return None
    if text in _FREEZE:
        return _FREEZE[text]
    if text in {str(number) for number in range(6)}:
        return int(text)
    raise UsageError(f"--freeze {text!r} is no part of a backbone", hint="none, stem, first, all, or 0 to 5 stages")


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


def _announce(plan: SegmentationPlan) -> None:
    from ..engine.progress import say

    say(f"engine: {plan.engine.note}")
    for line in plan.engine.install:
        say(f"  for mmsegmentation: {line}")
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


def _show_plan(plan: SegmentationPlan, out: str, *, as_json: bool) -> None:
    from ..transfer.segmentation import estimate
    from ..transfer.segmentation.papers import paper_rows

    with work():
        cost = estimate(plan)
    rows = paper_rows() if plan.spec.name == "cityscapes" else []
    if as_json:
        papers = [row.__dict__ for row in rows]
        print_json({**plan.to_dict(), "out": out, "cost": cost.to_dict() if cost else None, "papers": papers})
        return
    fields = {"task": str(plan.spec), **{side.role: side.reference for side in plan.sides}, "engine": plan.engine.note}
    fields["data"] = (
        f"missing; {plan.num_classes} classes expected"
        if plan.train is None or plan.val is None
        else f"{len(plan.train):,} training images, {len(plan.val):,} evaluation images, {plan.num_classes} classes"
    )
    fields |= {"protocol": plan.line(), "seeds": literal(plan.seeds), "folder": out}
    print_fields({**fields, **(_cost(cost) if cost else {"cost": "the backbone cannot be built here"})})
    click.echo()
    entries = [
        {"setting": name, "value": literal(entry["value"]), "from": entry["source"]}
        for name, entry in plan.resolved.to_dict().items()
    ]
    print_rows(entries, {"setting": "setting", "value": "value", "from": "from"}, "table")
    if rows:
        click.echo()
        shown = [{**row.__dict__, "run": "yes" if row.head == plan.settings.head else ""} for row in rows]
        headings = {"label": "paper's row", "source": "from", "baseline": "before", "ours": "distilled", "note": "note"}
        print_rows(shown, {**headings, "run": "same head"}, "table")
    lines = [f"note: {text}" for text in (*plan.notes, *(cost.notes if cost else ()))]
    lines += [f"for mmsegmentation: {line}" for line in plan.engine.install]
    lines += [f"missing: {problem.message} ({problem.hint})" for problem in plan.problems]
    if lines:
        click.echo()
    for line in lines:
        click.echo(line)


def _cost(cost: SegmentationCost) -> dict[str, str]:
    fields = {"segmentor": f"{cost.parameters / 1e6:.1f} M parameters, {cost.learning_parameters / 1e6:.1f} M learn"}
    if cost.macs is not None:
        fields["segmentor"] += f"; {cost.macs / 1e9:.0f} G multiply-adds to train on a crop"
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
        if difference.metric == "mIoU":
            click.echo(difference.sentence)
    print_fields({"protocol": comparison.plan.line(), "folder": comparison.out, "report": comparison.report})
