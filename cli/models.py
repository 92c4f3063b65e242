"""``kdzoo models``."""

from __future__ import annotations

from typing import Any

import click

from ..base.setting_values import Amount, Percent
from .commands import VerbCommand, VerbGroup
from .options import format_options, json_option
from .output import echo, print_fields, print_json, print_rows, work
from .settings import within

_ENTRIES = {
    "name": "name",
    "top1": "top-1",
    "top5": "top-5",
    "image_size": "pixels",
    "params_m": "params (M)",
    "macs_g": "MACs (G)",
    "size_mb": "MB",
    "licence": "licence",
    "paper": "paper",
    "source": "source",
}
_BUILDABLE = {
    "name": "name",
    "default_tag": "weights",
    "source": "source",
    "params_m": "params (M)",
    "image_size": "pixels",
    "licence": "licence",
}
# What to sort by, and the column of the table.
_SORTS = {
    "name": "name",
    "top1": "top1",
    "top5": "top5",
    "pixels": "image_size",
    "params": "params_m",
    "macs": "macs_g",
    "size": "size_mb",
    "licence": "licence",
    "paper": "paper",
    "source": "source",
}
_SOURCES = ("meal_v2", "paddleclas", "timm", "paper")


@click.group(cls=VerbGroup, name="models")
def command() -> None:
    """The zoo: distilled backbones, their teachers, what they are compared with, and all else that can be built."""


@command.command(
    "list",
    cls=VerbCommand,
    examples=[
        ("kdzoo models list ssld_ --sort top1", "SSLD's models, the best first."),
        ("kdzoo models list --max-params 6 --sort top1", "The best with at most 6 million parameters."),
        ("kdzoo models list --licence apache --source paddleclas --format csv", "For a spreadsheet."),
        ("kdzoo models list --all 'resnet50.*'", "Every set of weights of resnet50 that timm has."),
    ],
)
@click.argument("pattern", required=False, metavar="[FILTER]")
@click.option("--sort", type=click.Choice(list(_SORTS)), help="Accuracies the highest first, the others the lowest.")
@click.option("--paper", metavar="TEXT", help="A paper's key, or a part of its title.")
@click.option("--licence", metavar="TEXT", help="A part of the licence; none for weights that come with none.")
@click.option("--source", type=click.Choice(_SOURCES), help="Who publishes the weights.")
@click.option("--min-top1", type=within(Percent), metavar="PERCENT", help="At least this accuracy, as published.")
@click.option("--max-params", type=within(Amount), metavar="M", help="At most so many million parameters.")
@click.option(
    "--max-macs", type=within(Amount), metavar="G", help="At most so many thousand million multiply-adds an image."
)
@click.option("--max-size", type=within(Amount), metavar="MB", help="At most so large, in float32.")
@click.option("--all", "every", is_flag=True, help="Then everything that can be built: kdzoo's networks and timm's.")
@format_options
def list_(pattern: str | None, every: bool, form: str, as_json: bool, sort: str | None, **options: Any) -> None:
    """List the zoo. FILTER is a part of the name, or a pattern with * and ?.

    Accuracies are the published ones on ImageNet, each at its own protocol: 'kdzoo models show NAME' has it, with the
    source. Parameters and multiply-adds are counted at the size in the column pixels.
    """
    from .. import list_architectures, list_models

    form = "json" if as_json else form
    with work():
        rows = records(list_models(pattern, sort=_SORTS[sort] if sort else None, **options))
        rows = [{**row, "licence": row["licence"] or "none"} for row in rows] if form == "table" else rows
        buildable = records(list_architectures(pattern)) if every else []
    if form == "table" and not rows and not buildable:
        more = "" if every else " in the zoo; --all looks among everything that can be built"
        echo(f"no model matches{more}", err=True)
        return
    if not every:
        print_rows(rows, {key: key for key in _ENTRIES} if form == "csv" else _ENTRIES, form)
        return
    if form == "table":
        if rows:
            print_rows(rows, _ENTRIES, form, title="The zoo")
            echo()
        shown = {key: heading for key, heading in _BUILDABLE.items() if any(row[key] for row in buildable)}
        print_rows(buildable, shown or _BUILDABLE, form, title="What can be built")
        return
    both = {**dict.fromkeys(_ENTRIES), **dict.fromkeys(_BUILDABLE)}
    print_rows([{**dict.fromkeys(both), **row} for row in (*rows, *buildable)], {key: key for key in both}, form)


def records(frame: Any) -> list[dict[str, Any]]:
    """A DataFrame's rows, with None for what is not known."""
    return list(frame.astype(object).where(frame.notna(), None).to_dict("records"))


@command.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo models show ssld_resnet50d",
            "Numbers with protocol and source, licence, digest, how to load it.",
        ),
        ("kdzoo models show resnet50.a1_in1k", "Size, cost, input, weights of any model that can be built."),
    ],
)
@click.argument("reference", metavar="REF")
@json_option
def show(reference: str, as_json: bool) -> None:
    """Show one model whole: numbers, cost, preprocessing, weights, licence, paper. Nothing is downloaded."""
    from .. import describe_model

    with work():
        record = describe_model(reference)
    if as_json:
        print_json(record)
    elif "results" in record:
        _print_entry(record)
    else:
        _print_buildable(record)
    for note in record["notes"] if not as_json else ():
        echo(f"note: {note}")


def _print_entry(record: dict[str, Any]) -> None:
    paper = record["paper"]
    fields = {
        "name": record["name"],
        "architecture": record["architecture"] + (f" {record['model_args']}" if record["model_args"] else ""),
        "parameters": f"{record['params']:,} ({record['size_mb']} MB in float32)",
        "forward pass": f"{record['macs'] / 1e9:.3g} G multiply-adds at {record['image_size']} px",
        "input": f"{record['image_size']} px, mean {_numbers(record['mean'])}, std {_numbers(record['std'])}",
        "evaluation": f"crop_pct {record['crop_pct']}, {record['interpolation']}",
    }
    for result in record["results"]:
        top5 = f" / {result['top5']}" if result["top5"] is not None else ""
        look = ", ".join(
            str(part)
            for part in (
                f"{result['image_size']} px",
                f"crop_pct {result['crop_pct']}" if result["crop_pct"] is not None else None,
                result["interpolation"],
            )
            if part is not None
        )
        fields["ImageNet" + " " * sum(key.startswith("ImageNet") for key in fields)] = (
            f"{result['top1']}{top5} top-1 / top-5 ({look}; {result['source']})"
        )
    fields |= {
        "teachers": ", ".join(record["teachers"]) or "none, or not published",
        "paper": f"{paper['title']} ({paper['authors']}, {paper['year']}), {paper['url']}",
        "published at": record["address"] or "nowhere that kdzoo pulls from",
        "SHA-256": record["sha256"] or "not stated by its publisher: kept from the first pull",
        "licence": record["licence"] or "none given",
        "get it": ("pulled; " if record["pulled"] else "") + (record["get"] or "there is nothing to pull"),
        "in timm": record["load_in_timm"] or "",
        "in kdzoo": record["load_in_kdzoo"] or "",
    }
    print_fields(fields)


def _numbers(values: Any) -> str:
    return ", ".join(str(value) for value in values)


def _print_buildable(record: dict[str, Any]) -> None:
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
