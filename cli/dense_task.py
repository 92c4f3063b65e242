"""What ``kdzoo transfer``'s dense tasks share: their options, and how a measurement is asked for and run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.setting_values import LearningRate, Passes, value_types
from ..base.settings import read_settings
from .dense_shown import announce, show_comparison, show_plan
from .options import COUNT, PRECISION, Option, section, stacked
from .output import is_main, work
from .settings import given_settings, set_option, setting, within
from .start import saying_how_to_go_on
from .transfer_options import (
    HOW,
    WHAT,
    backbone_options,
    batch_size_option,
    loader_workers,
    measurement_options,
    parse_seeds,
    seeds_option,
)

if TYPE_CHECKING:
    from ..transfer.dense.plan import DenseRequest

_SETTINGS = {
    "detector": "detector",
    "head": "head",
    "iterations": "iterations",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "lr": "lr",
    "freeze": "frozen_stages",
    "batchnorm": "batchnorm",
    "lr_multipliers": "lr_multipliers",
    "crop": "crop",
    "class_weights": "class_weights",
    "test": "test_mode",
}
"""The setting behind each option."""


@dataclass(frozen=True, kw_only=True)
class DenseVerb:
    """How a kind of dense task is called.

    Attributes:
        kind: The package of `kdzoo.transfer` that does it.
        network: What is trained: ``detector``.
        option: The option, and the setting, that chooses it.
        framework: Which the papers used.
        metric: Whose difference is written out.
        papers_on: The data set of the papers' rows.
        length: What becomes of the rate at another length.
        freeze: The stages that do not learn by default.
        batchnorm: The default.
    """

    kind: str
    network: str
    option: str
    framework: str
    metric: str
    papers_on: str
    length: str
    freeze: str
    batchnorm: str

    def run(self, ctx: click.Context, options: Mapping[str, Any]) -> None:
        """Settle a plan; with ``--dry-run`` show it, otherwise run it and show what it came to."""
        kind = import_module(f"{__package__.rpartition('.')[0]}.transfer.{self.kind}")
        with work():
            plan = kind.make_plan(_request(ctx, kind.SETTINGS, options))
        task, network = str(ctx.info_name), getattr(plan.settings, self.option)
        out = options["out"] or default_folder(task, network, options["backbone"])
        form = "json" if options["as_json"] else options["form"]
        if options["dry_run"]:
            if is_main():
                with work():
                    cost = kind.estimate(plan)
                papers = kind.paper_rows() if plan.spec.name == self.papers_on else ()
                if not show_plan(plan, self, out, cost, papers, as_json=form == "json"):
                    ctx.exit(1)
            return
        with work(), saying_how_to_go_on(options["out"], Path(out)):
            if is_main():
                announce(plan, self)
            comparison = kind.run_plan(plan, out=out, resume=options["resume"])
        if is_main():
            show_comparison(comparison, self, form)


def default_folder(task: str, network: str, backbone: str) -> str:
    """Where a measurement goes that names no folder."""
    last = task.rstrip("/").rpartition("/")[2]
    name = f"transfer-{last}-{network}-{backbone.rstrip('/').rpartition('/')[2]}"
    return os.path.join("runs", re.sub(r"[^\w.-]+", "_", name))


def _request(ctx: click.Context, settings: type[Any], options: Mapping[str, Any]) -> DenseRequest:
    from ..transfer.dense.plan import DenseRequest

    given = given_settings(ctx, _SETTINGS, rivals=("iterations", "epochs"))
    kept = ("backbone", "baseline", "schedule", "engine", "subset", "device", "precision", "trackers")
    return DenseRequest(
        task=str(ctx.info_name),
        given=read_settings({**value_types(settings), "epochs": Passes}, given, name_options=True),
        seeds=parse_seeds(options["seeds"]) or (0,),
        workers=loader_workers(options["workers"]),
        evaluate_every=options["evaluate_every"] or 0,
        **{name: options[name] for name in kept},
    )


def dense_options(verb: DenseVerb, network: Option, engine: Option, schedule: Option, *own: Option) -> Option:
    """The options of a dense task.

    Args:
        verb: What is its own.
        network: What is built over the backbone.
        engine: By which framework.
        schedule: Of that framework.
        own: Further settings of the kind.
    """
    return stacked(
        section(WHAT, backbone_options, network, engine),
        section(
            HOW,
            schedule,
            setting("--iterations", type=COUNT, metavar="N", help=f"Another length; {verb.length}."),
            setting("--epochs", type=within(Passes), metavar="N", help="The same, in passes."),
            batch_size_option,
            setting(
                "--lr",
                type=within(LearningRate),
                metavar="RATE",
                help="Base learning rate; it is never scaled by itself.",
            ),
            setting(
                "--freeze",
                metavar="none|stem|first|all|0-5",
                help=f"Backbone stages that do not learn.  [default: {verb.freeze}]",
            ),
            setting(
                "--batchnorm",
                type=click.Choice(["frozen", "train"]),
                help=f"Of the backbone: a fixed scale and shift, or learning.  [default: {verb.batchnorm}]",
            ),
            *own,
            setting(
                "--precision",
                type=PRECISION,
                default="fp32",
                show_default=True,
                help="Of training; what is found is measured in fp32.",
            ),
            setting(
                "--evaluate-every",
                type=COUNT,
                metavar="N",
                help="Also evaluate each N iterations, and keep the best checkpoint.  [default: at the end only]",
            ),
            setting(
                "--tracker",
                "trackers",
                multiple=True,
                type=click.Choice(["tensorboard", "wandb"]),
                help="Log there too. Repeatable; needs kdzoo[trackers].",
            ),
            seeds_option(1),
            setting("--subset", type=COUNT, metavar="N", help="So many training and evaluation images: a quick look."),
            set_option("that --dry-run shows"),
        ),
        measurement_options("runs, results and report", "runs/transfer-TASK-…"),
    )
