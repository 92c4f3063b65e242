"""What ``train`` and ``distill`` do with their options: settle a plan, show it or carry it out, print the result."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..base.errors import Interrupted, KdzooError, UsageError
from .dry_run import show
from .output import is_main, print_fields, print_json, print_remarks, work
from .run_options import run_settings

if TYPE_CHECKING:
    from ..base.run_documents import TrainResult
    from ..planning.default_recipe import Verb
    from ..planning.plan import Plan


def start(ctx: click.Context, verb: Verb, recipe: str | None) -> None:
    """Run a verb with a recipe, or with the one that fits."""
    options = ctx.params
    with work():
        plan = _plan(ctx, verb, recipe)
        _check_verb(verb, plan)
    out = Path(options["out"] or default_folder(plan)).expanduser()
    if options["dry_run"]:
        kept = {"as_json": options["as_json"], "resume": options["resume"], "every_setting": options["every_setting"]}
        if is_main() and not show(_of_stage(plan, options["stage"]), out=str(out), **kept):
            ctx.exit(1)
        return
    with work():
        result = _run(ctx, plan, out)
    if is_main():
        _print(result, as_json=options["as_json"])


def _plan(ctx: click.Context, verb: Verb, recipe: str | None) -> Plan:
    """What is asked for; of a run that goes on, with what nobody gives as it began."""
    from ..planning.default_recipe import plan_verb

    options, given = ctx.params, run_settings(ctx)
    out = Path(options["out"]).expanduser() if options["out"] else None
    resumed = out if options["resume"] else None
    plan = plan_verb(verb, recipe, given=given, variants=options["variant"], resumed=resumed)
    if options["resume"] and out is None:
        folder = Path(default_folder(plan))
        return plan_verb(verb, recipe, given=given, variants=options["variant"], resumed=folder)
    return plan


def _of_stage(plan: Plan, name: str | None) -> Plan:
    """The plan with the one stage that is to run, where one was named."""
    chosen = tuple(one for one in plan.stages if one.stage is not None and one.stage.name == name)
    return replace(plan, stages=chosen) if chosen else plan


def default_folder(plan: Plan) -> str:
    """The run folder where none was given: what is trained, how, on what, from which seed."""
    data = plan.recipe.data.dataset.partition(":")[0].rstrip("/").rpartition("/")[2]
    student = plan.student.rstrip("/").rpartition("/")[2]
    name = f"{plan.recipe.name}-{student}-{data}-{plan.run.seed}"
    return os.path.join("runs", re.sub(r"[^\w.-]+", "_", name))


def _check_verb(verb: str, plan: Plan) -> None:
    needs_teachers = plan.recipe.objective.uses_teachers
    if verb == "train" and needs_teachers:
        raise UsageError(f"recipe {plan.recipe.name} learns from teachers", hint="'kdzoo distill' takes --teacher")
    if verb == "distill" and not needs_teachers:
        raise UsageError(f"recipe {plan.recipe.name} uses no teachers", hint="'kdzoo train' trains on labels")


def _run(ctx: click.Context, plan: Plan, out: Path) -> TrainResult:
    from ..planning.run import run

    options = ctx.params
    with saying_how_to_go_on(options["out"], out):
        result = run(
            plan,
            out=out,
            resume=options["resume"],
            trust_teacher=options["trust_teacher"],
            trackers=options["tracker"],
            stage=options["stage"],
        )
    if is_main():
        for folder in _report_folders(plan, out):
            _report(folder)
    return result


def _report_folders(plan: Plan, out: Path) -> list[Path]:
    """The run folder, or those of the stages that began."""
    if not plan.stages:
        return [out]
    folders = [out / stage.stage.folder for stage in plan.stages if stage.stage is not None]
    return [folder for folder in folders if (folder / "config.json").exists()]


@contextlib.contextmanager
def saying_how_to_go_on(given_out: str | None, out: Path) -> Iterator[None]:
    """Where what is done inside is interrupted, the command that goes on with it is shown."""
    from ..engine.progress import say

    try:
        yield
    except Interrupted:
        if is_main():
            say(f"to go on: {resume_command(sys.argv, given_out, out)}")
        raise


def resume_command(command: list[str], given_out: str | None, out: Path) -> str:
    """The command that goes on with a run: the same one, with ``--resume`` and the folder that it chose."""
    from ..base.redact import redact_arguments

    arguments = ["kdzoo", *redact_arguments(command[1:])]
    if given_out is None:
        arguments += ["--out", str(out)]
    if "--resume" not in arguments:
        arguments.append("--resume")
    return shlex.join(arguments)


def _report(out: Path) -> None:
    """The run's report. A run that is finished stays so where its report cannot be written."""
    from ..engine.progress import say
    from ..evaluation.report import write_report

    try:
        say(f"report: {write_report(out)}")
    except KdzooError as error:
        say(f"warning: no report: {error.message}")


def _print(result: TrainResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
        return
    print_fields(
        {
            "run": result.run,
            "model": result.model,
            **_metrics(result),
            "epochs": result.epochs,
            "speed": f"{result.images_per_s:.0f} images/s",
        }
    )
    print_remarks(("warning", result.warnings))


def _metrics(result: TrainResult) -> dict[str, str]:
    metrics, primary = result.metrics, result.metrics.primary
    images = f"{metrics.num_images:,} held-out images"
    if primary.name == "top1":
        return {"top-1": f"{primary.text(metrics.value)} of {images}", "top-5": f"{metrics['top5']:.2f} %"}
    best = f"{primary.text(result.best)} after the best epoch"
    return {primary.title: f"{primary.text(metrics.value)} on average of {images}; {best}"}
