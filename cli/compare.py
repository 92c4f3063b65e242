"""``kdzoo compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .commands import VerbCommand
from .options import SEED, format_options
from .output import echo, print_json, print_rows, work

if TYPE_CHECKING:
    from .. import ComparedResult, ModelComparison


@click.command(
    "compare",
    cls=VerbCommand,
    examples=[
        ("kdzoo compare runs/baseline runs/student", "Two runs: every number both have, and the settings that differ."),
        (
            "kdzoo compare resnet50.a1_in1k ssld_resnet50d --results results",
            "Two models whose results lie in one folder.",
        ),
    ],
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--results", metavar="FOLDER", help="Take A and B as model references in this folder of results.")
@click.option("--seed", type=SEED, default=0, show_default=True, metavar="N", help="Of the resampled images.")
@format_options
def command(first: str, second: str, results: str | None, seed: int, form: str, as_json: bool) -> None:
    """Compare two models by what was measured of them: every number both have, B less A.

    A and B are runs, folders of results of one model, or single documents; what is no path is a model reference in
    $KDZOO_RESULTS, else in results. Where the answers to each image are kept, as 'kdzoo eval' and 'kdzoo transfer' do,
    the difference in top-1 has a paired bootstrap interval and McNemar's exact test. Of two runs the settings that
    differ are listed too. Results of other images, or by other protocols, are refused with the reason.
    """
    from .. import compare_results

    with work():
        comparison = compare_results(first, second, results=results, seed=seed)
    if as_json or form == "json":
        print_json(comparison.to_dict())
        return
    rows = _rows(comparison)
    print_rows([_rounded(row) for row in rows] if form == "table" else rows, _columns(comparison), form)
    if form == "table":
        _explain(comparison)


def _rows(comparison: ModelComparison) -> list[dict[str, Any]]:
    rows = [{"data": "", **number.to_dict()} for number in comparison.cost]
    for result in comparison.results:
        data = _data_name(result)
        rows += [{"data": data, **number.to_dict()} for number in result.numbers]
    return rows


def _data_name(result: ComparedResult) -> str:
    """The data set, its split where that is not the usual one, and how a backbone was transferred."""
    one = result.first
    split = "" if one.split in ("val", "test") else f"({one.split})"
    words = [one.dataset, split, one.settings.get("mode")]
    return " ".join(str(word) for word in words if word)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Losses and divergences, in nats, need more places than percents."""
    if row["metric"] not in ("loss", "kl_to_teacher"):
        return row
    return {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()}


def _columns(comparison: ModelComparison) -> dict[str, str]:
    columns = {
        "data": "data",
        "metric": "metric",
        "first": comparison.first,
        "second": comparison.second,
        "difference": "B - A",
    }
    if any(number.over for result in comparison.results for number in result.numbers):
        columns |= {"low": "95 % low", "high": "95 % high", "over": "over"}
    return columns


def _explain(comparison: ModelComparison) -> None:
    """What the numbers mean, what was not compared, and where the two were made or measured differently."""
    echo()
    for result in comparison.results:
        echo(f"{_data_name(result)}: {result.finding}")
        for name, one, other in result.settings:
            echo(f"{_data_name(result)}: measured with another {name}: {one} / {other}")
    for reason in comparison.refused:
        echo(f"not compared: {reason}")
    if comparison.run_settings:
        echo("\nsettings of the runs that differ")
        rows = [{"setting": name, "A": one, "B": other} for name, one, other in comparison.run_settings]
        print_rows(rows, {"setting": "setting", "A": comparison.first, "B": comparison.second}, "table")
    elif comparison.run_settings is not None:
        echo("the settings of the two runs are equal")
