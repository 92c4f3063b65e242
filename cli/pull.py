"""``kdzoo pull``."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import UsageError
from .commands import VerbCommand
from .config_file import config_option
from .options import format_options
from .output import echo, print_json, print_rows, work
from .settings import setting

if TYPE_CHECKING:
    from .. import Pulled

_LINE_EVERY_S = 5.0
_LIST = {
    "name": "name",
    "top1": "top-1",
    "image_size": "pixels",
    "params_m": "params (M)",
    "size_mb": "MB",
    "licence": "licence",
    "source": "source",
    "pulled": "pulled",
}
_DONE = {"name": "name", "outcome": "outcome", "licence": "licence", "sha256": "SHA-256", "path": "path"}
_TRUST = {
    "published": "as its publisher states it",
    "recorded": "as at the first pull",
    "first": "recorded now, held to from now on",
}


@click.command(
    "pull",
    cls=VerbCommand,
    examples=[
        ("kdzoo pull", "The list of what can be pulled."),
        ("kdzoo pull ssld_resnet50d meal_v2_resnet50", "Download, check, convert; then they load by name, offline."),
        ("kdzoo pull hf-hub:ORG/NAME", "A model in timm's layout from the Hugging Face Hub."),
        ("kdzoo pull --convert MEALV2_ResNet50_224.pth --as meal_v2_resnet50", "A file that is here already."),
        (
            "kdzoo pull --convert best.pth --as torchvision/mobilenet_v2 --out mine",
            "Anybody's weights, as a model folder.",
        ),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME…]")
@setting(
    "--mirror",
    envvar="KDZOO_MIRROR",
    metavar="URL",
    help="A copy of the releases' layout, in place of their own addresses.",
)
@click.option("--sha256", metavar="HEX", help="The published file must have this digest.")
@click.option("--force", is_flag=True, help="Download again, and trust the file even if it is another one.")
@click.option("--convert", "file", type=click.Path(), metavar="FILE", help="Take this file in place of a download.")
@click.option("--as", "as_name", metavar="NAME", help="What FILE holds: the zoo's name; with --out an architecture.")
@click.option("--out", type=click.Path(), metavar="FOLDER", help="Write FILE's model there, in timm's layout.")
@click.option(
    "--map",
    "key_map",
    type=click.Path(),
    metavar="FILE",
    help="Patterns of FILE's names, in TOML (docs/conversion.md).",
)
@config_option
@format_options
def command(
    names: tuple[str, ...],
    file: str | None,
    as_name: str | None,
    out: str | None,
    key_map: str | None,
    form: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch distilled backbones, so that they load by name, with no network from then on.

    NAME is a zoo name, a timm name with its tag, or hf-hub:ORG/NAME[@REVISION]. A released file is downloaded (a
    broken download goes on where it broke), its SHA-256 checked or recorded, read without running anything in it,
    converted to timm's names and saved under KDZOO_HOME (else the user's cache). What the Hub hosts stays in the Hub's
    own cache, where timm finds it. With --out a file of anybody's becomes a model folder that every verb takes: --as is
    then timm's name of the network, or torchvision/NAME, and --map renames what neither knows.
    """
    form = "json" if as_json else form
    if (file is None) != (as_name is None):
        raise UsageError("--convert and --as go together", hint="kdzoo pull --convert FILE --as NAME")
    if file is not None and names:
        raise UsageError("--convert takes one file and no NAME…", hint="kdzoo pull --convert FILE --as NAME")
    if (out and file is None) or (key_map and out is None):
        given = "--map" if key_map else "--out"
        raise UsageError(
            f"{given} belongs to --convert", hint="kdzoo pull --convert FILE --as ARCHITECTURE --out FOLDER"
        )
    if out and (options["sha256"] or options["force"]):
        raise UsageError("--sha256 and --force are for published files", hint="leave them out beside --out")
    if options["sha256"] and len(names) > 1:
        raise UsageError("--sha256 is the digest of one file", hint="pull the models one by one")
    if file is not None and as_name is not None and out is not None:
        from .. import convert_weights

        with work():
            done = [convert_weights(Path(file), as_name, Path(out), key_map=Path(key_map) if key_map else None)]
        _print_done(done, form)
    elif file is not None and as_name is not None:
        from .. import convert_file

        with work():
            done = [convert_file(Path(file), as_name, digest=options["sha256"], force=options["force"])]
        _print_done(done, form)
    elif names:
        _print_done(_pull(names, **options), form)
    else:
        _print_list(form)


def _pull(names: tuple[str, ...], *, mirror: str | None, sha256: str | None, force: bool) -> list[Pulled]:
    from .. import pull

    done = []
    for name in dict.fromkeys(names):
        with work(), _bars() as report:
            done.append(pull(name, mirror=mirror, digest=sha256, force=force, report=report))
    return done


def _print_done(done: list[Pulled], form: str) -> None:
    rows = [
        {
            "name": one.name,
            "outcome": one.outcome,
            "path": str(one.path),
            "sha256": one.digest,
            "trust": one.trust,
            "licence": one.licence,
            "notes": list(one.notes),
        }
        for one in done
    ]
    if form == "json":
        print_json(rows)
        return
    if form == "csv":
        print_rows(rows, {key: key for key in _DONE}, form)
        return
    for one in done:
        was = "is there already" if one.outcome == "there" else one.outcome
        echo(f"{one.name} {was}: {one.path}")
        echo(f"  SHA-256 {one.digest} ({_TRUST[one.trust]})")
        echo(f"  licence: {one.licence or 'none given'}")
        for note in one.notes:
            echo(f"  note: {note}")


def _print_list(form: str) -> None:
    from .. import list_models
    from .models import records

    with work():
        rows = [row for row in records(list_models()) if row["source"] != "paper"]
        rows = [{**row, "licence": row["licence"] or "none"} for row in rows] if form == "table" else rows
    print_rows(rows, {key: key for key in _LIST} if form == "csv" else _LIST, form)


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
    """Makes a progress callback for a file: a bar on a terminal, a line now and then elsewhere; on stderr."""
    if not sys.stderr.isatty():
        yield _lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:

        def report(file: str) -> Callable[[int, int | None], None]:
            task = bars.add_task(file, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield report


def _lines(file: str) -> Callable[[int, int | None], None]:
    began = last = time.monotonic()
    start = -1

    def say(done: int, total: int | None) -> None:
        nonlocal last, start
        now = time.monotonic()
        start = done if start < 0 else start
        if done != total and now - last < _LINE_EVERY_S:
            return
        last = now
        speed = (done - start) / max(now - began, 1e-3) / 1e6
        of = f" of {total / 1e6:.1f}" if total else ""
        left = f", {(total - done) / 1e6 / speed:.0f} s left" if total and speed and done < total else ""
        echo(f"{file}: {done / 1e6:.1f}{of} MB, {speed:.1f} MB/s{left}", err=True)

    return say
