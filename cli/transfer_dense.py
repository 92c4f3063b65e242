"""What ``kdzoo transfer``'s dense tasks share: options, running, and what is shown."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..base.errors import Interrupted, UsageError
from ..base.setting_values import LearningRate, Passes
from .output import echo, literal, print_fields, print_json, print_rows, work
from .settings import setting, source_of, within
from .transfer_options import (
    COUNT,
    HOW,
    Option,
    backbone_options,
    batch_size_option,
    is_main,
    loader_workers,
    measurement_options,
    out_option,
    parse_seeds,
    seeds_option,
    stacked,
)

if TYPE_CHECKING:
    from ..transfer.dense import Comparison, DenseCost
    from ..transfer.dense.papers import PaperRow
    from ..transfer.dense.plan import DensePlan

_FREEZE = {"none": 0, "stem": 1, "first": 2, "all": 5}


class DenseVerb(NamedTuple):
    """How a kind of dense task is called.

    Attributes:
        network: What is trained: ``"detector"``.
        option: The option that chooses it.
        framework: Which the papers used.
        metric: Whose difference is written out.
        papers_on: The data set of the papers' rows.
    """

    network: str
    option: str
    framework: str
    metric: str
    papers_on: str


def dense_options(
    network: Option, engine: Option, schedule: Option, *own: Option, length: str, freeze: str, batchnorm: str
) -> Callable[[Any], Any]:
    """The options of a dense task.

    Args:
        network: What is built over the backbone.
        engine: By which framework.
        schedule: Of that framework.
        own: Further settings of the kind.
        length: What becomes of the rate at another length.
        freeze: The stages that do not learn by default.
        batchnorm: The default.
    """
    return stacked(
        backbone_options,
        network,
        engine,
        schedule,
        setting("--iterations", type=COUNT, metavar="N", section=HOW, help=f"Another length; {length}."),
        setting(
            "--epochs",
            type=within(Passes),
            metavar="N",
            section=HOW,
            help="The same, in passes.",
        ),
        batch_size_option,
        setting(
            "--lr",
            type=within(LearningRate),
            metavar="RATE",
            section=HOW,
            help="Base learning rate; it is never scaled by itself.",
        ),
        setting(
            "--freeze",
            metavar="none|stem|first|all|0-5",
            section=HOW,
            help=f"Backbone stages that do not learn.  [default: {freeze}]",
        ),
        setting(
            "--batchnorm",
            type=click.Choice(["frozen", "train"]),
            section=HOW,
            help=f"Of the backbone: a fixed scale and shift, or learning.  [default: {batchnorm}]",
        ),
        *own,
        setting(
            "--precision",
            type=click.Choice(["fp32", "bf16", "fp16"]),
            default="fp32",
            section=HOW,
            help="Of training; what is found is measured in fp32.",
        ),
        setting(
            "--evaluate-every",
            type=COUNT,
            metavar="N",
            section=HOW,
            help="Also evaluate each N iterations, and keep the best checkpoint.  [default: at the end only]",
        ),
        setting(
            "--tracker",
            "trackers",
            multiple=True,
            type=click.Choice(["tensorboard", "wandb"]),
            section=HOW,
            help="Log there too. Repeatable; needs kdzoo[trackers].",
        ),
        seeds_option(1),
        setting(
            "--subset",
            type=COUNT,
            metavar="N",
            section=HOW,
            help="So many training and evaluation images: a quick look.",
        ),
        setting(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            section=HOW,
            help="Any setting that --dry-run shows. Repeatable.",
        ),
        measurement_options(out_option("runs, results and report", "runs/transfer-TASK-…")),
    )


def run_or_show(
    ctx: click.Context,
    verb: DenseVerb,
    options: Mapping[str, Any],
    *,
    plan: Callable[[], DensePlan[Any, Any, Any]],
    run: Callable[..., Comparison],
    estimate: Callable[[Any], DenseCost | None],
    papers: Callable[[], Sequence[PaperRow]],
    data: Callable[[Any], str],
) -> None:
    """Settle the plan; with ``--dry-run`` show it, otherwise run it and show what it came to.

    Args:
        ctx: The task's.
        verb: How its kind is called.
        options: By parameter.
        plan: Settles it.
        run: Carries it out.
        estimate: Its cost.
        papers: The papers' rows.
        data: What is there of the data, in a line.
    """
    kept = {name: options[name] for name in ("precision", "trackers")}
    with work():
        settled = dataclasses.replace(plan(), **kept, evaluate_every=options["evaluate_every"] or 0)
    out = options["out"] or default_folder(str(ctx.info_name), options[verb.option], options["backbone"])
    as_json = options["as_json"] or options["form"] == "json"
    if options["dry_run"]:
        if is_main():
            with work():
                cost = estimate(settled)
            rows = papers() if settled.spec.name == verb.papers_on else ()
            there = settled.train is not None and settled.val is not None
            line = data(settled) if there else f"missing; {settled.num_classes} classes expected"
            _show_plan(settled, verb, out, cost, rows, line, as_json=as_json)
        return
    with work():
        if is_main():
            _announce(settled, verb)
        try:
            comparison = run(settled, out=out, resume=options["resume"])
        except Interrupted:
            if is_main():
                _say_how_to_go_on(options["out"], out)
            raise
    if is_main():
        _show(comparison, verb, options["form"], as_json=as_json)


def default_folder(task: str, network: str, backbone: str) -> str:
    """Where a measurement goes that names no folder."""
    last = task.rstrip("/").rpartition("/")[2]
    name = f"transfer-{last}-{network}-{backbone.rstrip('/').rpartition('/')[2]}"
    return os.path.join("runs", re.sub(r"[^\w.-]+", "_", name))


def put_given(
    ctx: click.Context, given: dict[str, tuple[Any, str]], values: Mapping[str, tuple[str, Any]], own: Sequence[str]
) -> None:
    """Add the options' values to those of ``--set``.

    Args:
        ctx: The task's.
        given: Value and source by setting; gets the options'.
        values: Setting and value by parameter; None where the option was not given.
        own: Settings that only their option sets.

    Raises:
        UsageError: A setting is set twice, or by ``--set`` though it has an option of its own.
    """
    for parameter, (name, value) in values.items():
        option = "--" + parameter.replace("_", "-")
        if value is not None:
            if name in given:
                raise UsageError(f"{name} is set twice: by --set and by {option}", hint="leave one of them out")
            given[name] = (value, source_of(ctx, parameter) or option)
    for name in own:
        if name in given:
            raise UsageError(f"{name} has an option of its own", hint=f"write --{name} {literal(given[name][0])}")


def plan_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """What every dense plan is made of, by its parameters."""
    kept = ("backbone", "baseline", "schedule", "engine", "iterations", "epochs", "subset", "device")
    return {
        **{name: options[name] for name in kept},
        "seeds": parse_seeds(options["seeds"]) or (0,),
        "workers": loader_workers(options["workers"]),
    }


def frozen_stages(text: str | None) -> int | None:
    """``--freeze`` as a number of stages.

    Raises:
        UsageError: It is no part of a backbone.
    """
    if text is None:
        return None
    if text in _FREEZE:
        return _FREEZE[text]
    if text in {str(number) for number in range(6)}:
        return int(text)
    raise UsageError(f"--freeze {text!r} is no part of a backbone", hint="none, stem, first, all, or 0 to 5 stages")


def _announce(plan: DensePlan[Any, Any, Any], verb: DenseVerb) -> None:
    from ..engine.progress import say

    say(f"engine: {plan.engine.note}")
    for line in plan.engine.install:
        say(f"  for {verb.framework}: {line}")
    for note in plan.notes:
        say(f"note: {note}")


def _say_how_to_go_on(given_out: str | None, out: str) -> None:
    import sys
    from pathlib import Path

    from ..engine.progress import say
    from .start import resume_command

    say(f"to go on: {resume_command(sys.argv, given_out, Path(out))}")


# -- what is shown ---------------------------------------------------------------------------------------------------


def _show_plan(
    plan: DensePlan[Any, Any, Any],
    verb: DenseVerb,
    out: str,
    cost: DenseCost | None,
    rows: Sequence[PaperRow],
    data: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        papers = [row.__dict__ for row in rows]
        print_json({**plan.to_dict(), "out": out, "cost": cost.to_dict() if cost else None, "papers": papers})
        return
    print_fields(
        {
            "task": str(plan.spec),
            **{side.role: side.reference for side in plan.sides},
            "engine": plan.engine.note,
            "data": data,
            "protocol": plan.line(),
            "seeds": literal(plan.seeds),
            "folder": out,
            **(_cost(cost, verb) if cost else {"cost": "the backbone cannot be built here"}),
        }
    )
    echo()
    entries = [
        {"setting": name, "value": literal(entry["value"]), "from": entry["source"]}
        for name, entry in plan.resolved.to_dict().items()
    ]
    print_rows(entries, {"setting": "setting", "value": "value", "from": "from"}, "table")
    if rows:
        echo()
        shown = [{**row.__dict__, "run": "yes" if row.network == plan.network else ""} for row in rows]
        headings = {"label": "paper's row", "source": "from", "baseline": "before", "ours": "distilled", "note": "note"}
        print_rows(shown, {**headings, "run": f"same {verb.option}"}, "table")
    lines = [f"note: {text}" for text in (*plan.notes, *(cost.notes if cost else ()))]
    lines += [f"for {verb.framework}: {line}" for line in plan.engine.install]
    lines += [f"missing: {problem.message} ({problem.hint})" for problem in plan.problems]
    if lines:
        echo()
    for line in lines:
        echo(line)


def _cost(cost: DenseCost, verb: DenseVerb) -> dict[str, str]:
    size = f"{cost.parameters / 1e6:.1f} M parameters, {cost.learning_parameters / 1e6:.1f} M learn"
    if cost.macs is not None:
        width, height = cost.view
        size += f"; {cost.macs / 1e9:.0f} G multiply-adds to train on a {width}x{height} image"
    fields = {verb.network: size}
    if cost.memory_bytes is not None:
        how = "measured" if cost.memory_measured else "estimated from what the backward pass keeps"
        fields["memory"] = f"{cost.memory_bytes / 2**30:.1f} GiB for a batch in one process, {how}"
    fields["disk"] = f"{cost.disk_bytes / 2**30:.2f} GiB of checkpoints"
    if cost.run_s is not None and cost.step_s is not None:
        each = f"{cost.step_s:.2f} s an iteration on {cost.device} in one process"
        fields["time"] = f"about {timedelta(seconds=round(cost.run_s))} a run, {cost.runs} in all ({each})"
    return fields


def _show(comparison: Comparison, verb: DenseVerb, form: str, *, as_json: bool) -> None:
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
    echo()
    for difference in comparison.differences:
        if difference.metric == verb.metric:
            echo(difference.sentence)
    print_fields({"protocol": comparison.plan.line(), "folder": comparison.out, "report": comparison.report})
