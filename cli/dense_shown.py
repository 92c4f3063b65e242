"""What ``kdzoo transfer``'s dense tasks print: a plan with its cost, and what a comparison came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from .dry_run import print_verdict, verdict
from .output import echo, literal, print_fields, print_json, print_remarks, print_rows, print_settings

if TYPE_CHECKING:
    from .. import Comparison, DenseCost, PaperRow, PlannedDense
    from .dense_task import DenseVerb


def announce(planned: PlannedDense, verb: DenseVerb) -> None:
    """Say by what is measured, and what should be known of it, before it starts."""
    engine = planned.plan.engine
    echo(f"engine: {engine.note}", err=True)
    for line in engine.install:
        echo(f"  for {verb.framework}: {line}", err=True)
    for note in planned.plan.notes:
        echo(f"note: {note}", err=True)


def show_plan(
    planned: PlannedDense, verb: DenseVerb, cost: DenseCost | None, papers: Sequence[PaperRow], *, as_json: bool
) -> bool:
    """Print a measurement's plan; returns whether it could start.

    Args:
        planned: The measurement.
        verb: How its kind is called.
        cost: What it would cost; None where the backbone cannot be built.
        papers: The papers' rows on the same data.
        as_json: As one JSON document.
    """
    plan, out = planned.plan, str(planned.out)
    against = [problem.sentence for problem in plan.problems]
    if as_json:
        rows = [row.__dict__ for row in papers]
        found = {**plan.to_dict(), **verdict(against), "out": out, "papers": rows}
        print_json({**found, "cost": cost.to_dict() if cost else None})
        return not against
    print_verdict(against, _total(cost))
    echo()
    print_fields(
        {
            "task": str(plan.spec),
            **{side.role: side.reference for side in plan.sides},
            "engine": plan.engine.note,
            "data": plan.data_line(),
            "protocol": plan.line(),
            "seeds": literal(plan.seeds),
            "folder": out,
            **(_cost(cost, verb) if cost else {"cost": "the backbone cannot be built here"}),
        }
    )
    echo()
    print_settings(plan.resolved.to_dict())
    if papers:
        echo()
        shown = [{**row.__dict__, "run": "yes" if row.network == plan.network else ""} for row in papers]
        headings = {"label": "paper's row", "source": "from", "baseline": "before", "ours": "distilled", "note": "note"}
        print_rows(shown, {**headings, "run": f"same {verb.option}"}, "table")
    print_remarks(
        ("note", (*plan.notes, *(cost.notes if cost else ()))),
        (f"for {verb.framework}", plan.engine.install),
    )
    return not against


def _total(cost: DenseCost | None) -> str:
    """Time, memory and disk of all runs, as far as they are known."""
    if cost is None:
        return ""
    parts = [] if cost.run_s is None else [f"about {timedelta(seconds=round(cost.run_s * cost.runs))} here"]
    if cost.memory_bytes is not None:
        parts.append(f"about {cost.memory_bytes / 2**30:.1f} GiB of memory")
    return ", ".join([*parts, f"{cost.disk_bytes / 2**30:.2f} GiB of disk"])


def _cost(cost: DenseCost, verb: DenseVerb) -> dict[str, str]:
    size = f"{cost.parameters / 1e6:.1f} M parameters, {cost.learning_parameters / 1e6:.1f} M learn"
    if cost.macs is not None:
        width, height = cost.view
        size += f"; {cost.macs / 1e9:.0f} G multiply-adds to train on a {width}x{height} image"
    fields = {verb.network: size}
    if cost.memory_bytes is not None:
        how = "measured" if cost.memory_measured else "estimated from what the backward pass keeps"
        fields["memory"] = f"{cost.memory_bytes / 2**30:.1f} GiB for a batch in one process, {how}"
    fields["disk"] = f"{cost.disk_bytes / 2**30:.2f} GiB of checkpoints"
    if cost.run_s is not None and cost.step_s is not None:
        each = f"{cost.step_s:.2f} s an iteration on {cost.device} in one process"
        fields["time"] = f"about {timedelta(seconds=round(cost.run_s))} a run, {cost.runs} in all ({each})"
    return fields


def show_comparison(comparison: Comparison, verb: DenseVerb, form: str) -> None:
    """Print what the runs of a plan gave, as ``table``, ``json`` or ``csv``."""
    if form == "json":
        print_json(comparison.to_dict())
        return
    rows = comparison.rows()
    headings = {"metric": "metric", "backbone": comparison.results[0].model.reference}
    if len(comparison.results) > 1:
        headings["baseline"] = comparison.results[1].model.reference
        headings["difference"] = "difference"
    if any(row.get("low") is not None for row in rows):
        headings |= {"low": "95 % from", "high": "to"}
    print_rows(rows, headings, form)
    if form != "table":
        return
    echo()
    for difference in comparison.differences:
        if difference.metric == verb.metric:
            echo(difference.sentence)
    print_fields({"protocol": comparison.plan.line(), "folder": comparison.out, "report": comparison.report})
