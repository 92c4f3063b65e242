"""How options are written, a row each under its heading, and the rows that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from ..base.setting_values import TRACKERS, Count, Pixels, Seed, Workers
from .commands import SectionOption
from .output import FORMATS
from .settings import setting, within

Option = Callable[[Any], Any]
option = partial(click.option, cls=SectionOption)
"""An option that belongs to one call: neither the environment nor the config file has it."""

COUNT, PIXELS, SEED, WORKERS = within(Count), within(Pixels), within(Seed), within(Workers)
PRECISION = click.Choice(["fp32", "bf16", "fp16"])
SHARE = click.FloatRange(min=0, max=1, min_open=True, max_open=True)


def stacked(*options: Option) -> Option:
    """Several options as one decorator; the help shows them in this order."""

    def decorate(function: Any) -> Any:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


def section(title: str, *options: Option) -> Option:
    """Options under a heading of the help."""

    def decorate(function: Any) -> Any:
        before = len(getattr(function, "__click_params__", ()))
        function = stacked(*options)(function)
        for parameter in function.__click_params__[before:]:
            parameter.section = title
        return function

    return decorate


device_option = setting(
    "--device", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
)
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
format_options = stacked(
    setting(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print the list.",
    ),
    json_option,
)
"""``--format table|json|csv``, and ``--json`` as a short form of ``--format json``."""


tracker_option = setting(
    "--tracker",
    "trackers",
    multiple=True,
    type=click.Choice(TRACKERS),
    metavar="NAME",
    help=f"Log there too: {', '.join(TRACKERS)}. Repeatable.",
)
