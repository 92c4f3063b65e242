"""What ``kdzoo transfer``'s dense tasks share: their options, and how a measurement is asked for and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import click

from ..base.setting_values import LearningRate, Passes
from .dense_shown import announce, show_comparison, show_plan
from .options import COUNT, PRECISION, Option, section, stacked, tracker_option
from .output import is_main, work
from .settings import given_settings, set_option, setting, within
from .start import saying_how_to_go_on
from .transfer_options import (
    HOW,
    WHAT,
    backbone_options,
    batch_size_option,
    measurement_options,
    parse_seeds,
    seeds_option,
)

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
_ARGUMENTS = (
    *("backbone", "baseline", "schedule", "engine", "subset", "device", "precision", "trackers", "workers"),
    *("evaluate_every", "out", "resume"),
)
"""What `plan_dense` takes beside settings."""


@dataclass(frozen=True, kw_only=True)
class DenseVerb:
    """How a kind of dense task is called.

    Attributes:
        kind: Which it is.
        network: What is trained: ``detector``.
        option: The option, and the setting, that chooses it.
        framework: Which the papers used.
        metric: Whose difference is written out.
        papers_on: The data set of the papers' rows.
        length: What becomes of the rate at another length.
        freeze: The stages that do not learn by default.
        batchnorm: The default.
    """

    kind: Literal["detection", "segmentation"]
    network: str
    option: str
    framework: str
    metric: str
    papers_on: str
    length: str
    freeze: str
    batchnorm: str

    def run(self, ctx: click.Context, options: Mapping[str, Any]) -> None:
        """Settle a measurement; with ``--dry-run`` show it, otherwise run it and show what it came to."""
        from .. import plan_dense

        arguments = {name: options[name] for name in _ARGUMENTS}
        arguments["seeds"] = parse_seeds(options["seeds"])
        arguments["settings"] = given_settings(ctx, _SETTINGS, rivals=("iterations", "epochs"))
        with work():
            planned = plan_dense(self.kind, str(ctx.info_name), **arguments)
        form = "json" if options["as_json"] else options["form"]
        if options["dry_run"]:
            if is_main():
                with work():
                    cost = planned.cost()
                papers = planned.paper_rows() if planned.plan.spec.name == self.papers_on else ()
                if not show_plan(planned, self, cost, papers, as_json=form == "json"):
                    ctx.exit(1)
            return
        with work(), saying_how_to_go_on(options["out"], planned.out):
            if is_main():
                announce(planned, self)
            comparison = planned.start()
        if is_main():
            show_comparison(comparison, self, form)


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
            tracker_option,
            seeds_option(1),
            setting("--subset", type=COUNT, metavar="N", help="So many training and evaluation images: a quick look."),
            set_option("that --dry-run shows"),
        ),
        measurement_options("runs, results and report", "runs/transfer-TASK-…"),
    )
