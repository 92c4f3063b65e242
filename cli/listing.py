"""``--format`` and ``--json`` of the verbs that list or show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .output import FORMATS
from .settings import setting

Function = TypeVar("Function", bound=Callable[..., Any])


def format_options(function: Function) -> Function:
    """Adds ``--format table|json|csv``, and ``--json`` as a short form of ``--format json``."""
    function = json_option(function)
    return setting(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print the list.",
    )(function)


def json_option(function: Function) -> Function:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(function)
