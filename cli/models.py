"""``kdzoo models``."""

from __future__ import annotations

import click

from .commands import VerbCommand, VerbGroup
from .listing import format_options, json_option
from .output import print_fields, print_json, print_rows, work

_COLUMNS = {
    "name": "name",
    "default_tag": "weights",
    "source": "source",
    "params_m": "params (M)",
    "image_size": "pixels",
    "licence": "licence",
}


@click.group(cls=VerbGroup, name="models")
def command() -> None:
    """The models that can be built: kdzoo's own and timm's."""


@command.command(
    "list",
    cls=VerbCommand,
    examples=[
        ("kdzoo models list cifar_", "Every architecture with cifar_ in its name."),
        ("kdzoo models list 'resnet50.*'", "Every set of weights of resnet50."),
        ("kdzoo models list 'vit_small*' --format csv", "For a spreadsheet."),
    ],
)
@click.argument("pattern", required=False, metavar="[FILTER]")
@format_options
def list_(pattern: str | None, form: str, as_json: bool) -> None:
    """List what can be built. FILTER is a part of the name, or a pattern with * and ?.

    Parameters are counted where the list is short.
    """
    from ..zoo import list_models

    form = "json" if as_json else form
    with work():
        frame = list_models(pattern)
        records = frame.astype(object).where(frame.notna(), None).to_dict("records")
        rows = [{str(name): value for name, value in record.items()} for record in records]
    if not rows and form == "table":
        click.echo(f"no model matches {pattern!r}", err=True)
        return
    columns = {key: heading for key, heading in _COLUMNS.items() if form == "csv" or any(row[key] for row in rows)}
    print_rows(rows, {key: key for key in columns} if form == "csv" else columns, form)


@command.command(cls=VerbCommand, examples=[("kdzoo models show resnet50.a1_in1k", "Size, cost, input, weights.")])
@click.argument("reference", metavar="REF")
@json_option
def show(reference: str, as_json: bool) -> None:
    """Show one model: parameters, cost of a forward pass, preprocessing, weights, licence. Nothing is downloaded."""
    from ..zoo import model_record

    with work():
        record = model_record(reference)
    if as_json:
        print_json(record)
        return
    look = record["preprocessing"]
    print_fields(
        {
            "reference": record["reference"],
            "architecture": f"{record['architecture']} ({record['source']})",
            "parameters": f"{record['params']:,}",
            "forward pass": f"{record['macs'] / 1e9:.3g} G multiply-adds at {record['image_size']} px",
            "input": f"{look['image_size']} px, mean {look['mean']}, std {look['std']}",
            "evaluation": f"crop_pct {look['crop_pct']}, {look['interpolation']}",
            "classes": record["num_classes"],
            "features": record["num_features"],
            "weights": record["weights"] or "none",
            "licence": record["licence"] or "not stated",
            "other weights": ", ".join(record["tags"]) or "none",
            "in timm": record["load_in_timm"] or "",
        }
    )
    for note in record["notes"]:
        click.echo(f"note: {note}")
