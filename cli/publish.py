"""``kdzoo publish``."""

from __future__ import annotations

from typing import Any

import click

from ..base.errors import UsageError
from .commands import VerbCommand
from .options import json_option
from .output import echo, print_json, print_rows, work

_COLUMNS = {"path": "file", "bytes": "bytes", "sha256": "sha256"}


@click.command(
    "publish",
    cls=VerbCommand,
    examples=[
        ("kdzoo publish runs/student --repo ORG/NAME --license mit --dry-run --out card", "Look at it first."),
        ("kdzoo publish runs/student --repo ORG/NAME --license mit", "Publish, with the login of 'hf auth login'."),
    ],
)
@click.argument("run", metavar="RUN")
@click.option("--repo", required=True, metavar="ORG/NAME", help="The repository; made where it is not there.")
@click.option(
    "--license",
    "licence",
    metavar="ID",
    help="Of the weights, by the Hub's name; needed unless its teachers' leaves no choice.",
)
@click.option("--license-name", "licence_name", metavar="NAME", help="Short name, with --license other.")
@click.option("--license-link", "licence_link", metavar="URL", help="Where its text is, with --license other.")
@click.option(
    "--results",
    type=click.Choice(["official", "all", "own"]),
    default="official",
    show_default=True,
    help="Which of RUN/results the card lists: those on whole official data sets, all, or none.",
)
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Publish on this branch; made where it is not there.")
@click.option("--create-pr", is_flag=True, help="Propose it as a pull request to an existing repository.")
@click.option("--message", metavar="TEXT", help="Of the commit; the model and its top-1 by default.")
@click.option("--dry-run", is_flag=True, help="Send nothing; show what would be sent.")
@click.option("--out", metavar="DIR", help="With --dry-run: write exactly what would be sent.")
@json_option
def command(run: str, repo: str, dry_run: bool, out: str | None, as_json: bool, **options: Any) -> None:
    """Publish a finished run's model on the Hugging Face Hub, with a card that carries its evidence.

    Any timm user then loads it in one line. The card holds the numbers with their protocol, the recipe with every
    changed setting, the teachers and the licences they bring along. Publishing the same again makes no commit.
    """
    if out is not None and not dry_run:
        raise UsageError("--out says where --dry-run writes", hint="add --dry-run")
    if options["create_pr"] and (options["revision"] or options["private"]):
        raise UsageError("a pull request goes to the default branch of an existing repository", hint="leave one out")
    if dry_run:
        shown = {name: value for name, value in options.items() if name not in ("private", "create_pr", "message")}
        _show(run, repo, out, as_json, shown)
        return
    from .. import publish

    with work():
        published = publish(run, repo, **options)
    if as_json:
        print_json({**vars(published), "reference": published.reference})
        return
    done = "published" if published.changed else "nothing to do, the Hub has the same already:"
    echo(f"{done} {published.url}")
    echo(f'load it: timm.create_model("{published.reference}", pretrained=True)')


def _show(run: str, repo: str, out: str | None, as_json: bool, options: dict[str, Any]) -> None:
    from pathlib import Path

    from .. import package, write_package

    with work():
        made = package(run, repo, **options)
        if out is not None:
            write_package(made, Path(out).expanduser())
    if as_json:
        print_json(
            {"repository": repo, "license": made.licence.shown, "headline": made.headline, "files": made.files()}
        )
        return
    print_rows(made.files(), _COLUMNS, "table", title=f"would be sent to {repo}, under {made.licence.shown}:")
    if made.left_out:
        echo(f"left out: {made.left_out} results that --results {options['results']} does not list", err=True)
    if out is not None:
        echo(f"written to {out}")
