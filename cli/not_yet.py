"""The verbs that are planned: their help says what they will do, calling them says that they are not there."""

from __future__ import annotations

import click

from ..errors import KdzooError
from .commands import VerbCommand

_WILL = {
    "label": (
        "Will run teachers over a data set once and store their soft labels, so that many students can be trained "
        "without running the teachers again.",
        "'kdzoo distill' runs the teachers beside the student",
    ),
}


def make(name: str) -> click.Command:
    """The command that stands in for a verb that is not there yet."""
    will, instead = _WILL[name]

    def callback() -> None:
        raise KdzooError(f"'kdzoo {name}' is not there yet", hint=f"until then: {instead}")

    return VerbCommand(
        name=name,
        callback=callback,
        help=f"{will}\n\nNot there yet: calling it only says so and exits with 1. Until then: {instead}.",
        options_metavar="…",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
