"""``kdzoo doctor``."""

from __future__ import annotations

import click

from .commands import VerbCommand
from .options import json_option
from .output import echo, print_json, work


@click.command(cls=VerbCommand)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check the installation: versions, compiled operators, devices, data folders, caches, space.

    Exits with 1 where something keeps kdzoo from working.
    """
    from .. import __version__, examine

    with work():
        findings = examine()
    problems = [finding for finding in findings if finding.status == "problem"]
    if as_json:
        print_json({"kdzoo": __version__, "ok": not problems, "findings": [one.to_dict() for one in findings]})
    else:
        echo(f"kdzoo {__version__}")
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            hint = f" ({finding.hint})" if finding.hint else ""
            echo(f"{finding.status:<7}  {finding.check:<{width}}  {finding.found}{hint}")
        echo(f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "everything needed is there")
    ctx.exit(1 if problems else 0)
