"""What ``train`` and ``distill`` do with their options: settle a run, show it or start it, print the result."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..base.errors import Interrupted, KdzooError
from .dry_run import show
from .output import echo, is_main, print_fields, print_json, print_remarks, work
from .run_options import run_arguments

if TYPE_CHECKING:
    from .. import PlannedRun, TrainResult


def start(ctx: click.Context, verb: Literal["train", "distill"], recipe: str | None) -> None:
    """Run a verb with a recipe, or with the one that fits."""
    from .. import plan_run

    options = ctx.params
    with work():
        planned = plan_run(verb, recipe, **run_arguments(ctx))
    if options["dry_run"]:
        if is_main() and not show(planned, as_json=options["as_json"], every_setting=options["every_setting"]):
            ctx.exit(1)
        return
    with work():
        with saying_how_to_go_on(options["out"], planned.out):
            result = planned.start()
        if is_main():
            _report(planned)
    if is_main():
        _print(result, as_json=options["as_json"])


@contextlib.contextmanager
def saying_how_to_go_on(given_out: str | None, out: Path) -> Iterator[None]:
    """Where what is done inside is interrupted, the command that goes on with it is shown."""
    try:
        yield
    except Interrupted:
        if is_main():
            echo(f"to go on: {resume_command(sys.argv, given_out, out)}", err=True)
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


def _report(planned: PlannedRun) -> None:
    """The run's report, or its stages'. A run that is finished stays so where its report cannot be written."""
    from .. import write_report

    for folder in planned.folders:
        try:
            echo(f"report: {write_report(folder)}", err=True)
        except KdzooError as error:
            echo(f"warning: no report: {error.message}", err=True)


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
    over = "on" if primary.task == "multilabel" else "on average of"
    return {primary.title: f"{primary.text(metrics.value)} {over} {images}; {best}"}
