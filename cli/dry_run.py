"""What ``--dry-run`` prints: what a plan would do and cost, and where each setting comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from .output import literal, print_fields, print_json, print_rows, work

if TYPE_CHECKING:
    from ..recipes.cost import Cost, ModelCost
    from ..recipes.plan import Plan

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def show(plan: Plan, *, as_json: bool, out: str) -> None:
    """Print a plan and its cost.

    Args:
        plan: From ``resolve``.
        as_json: As one JSON document.
        out: The run folder that it would have.
    """
    from ..recipes import estimate

    with work():
        cost = estimate(plan)
    if as_json:
        print_json({**plan.to_dict(), "out": out, "cost": cost.to_dict()})
        return
    print_fields({**_what(plan, cost), "run folder": out, **_cost(plan, cost)})
    click.echo()
    rows = [
        {"setting": path, "value": literal(entry["value"]), "from": entry["source"]}
        for path, entry in plan.to_dict()["settings"].items()
    ]
    print_rows(rows, {"setting": "setting", "value": "value", "from": "from"}, "table")
    lines = [
        *(f"note: {text}" for text in (*plan.notes, *cost.notes)),
        *(f"warning: {text}" for text in plan.warnings),
        *(f"missing: {text}" for text in cost.missing),
    ]
    click.echo()
    for line in lines:
        click.echo(line)


def _what(plan: Plan, cost: Cost) -> dict[str, Any]:
    data = plan.recipe.data
    extra = f" and {data.unlabeled}" if data.unlabeled else ""
    images = "images unknown" if cost.num_images is None else f"{cost.num_images:,} images"
    fields = {
        "recipe": " + ".join([plan.origin, *plan.variants]),
        "data": f"{data.dataset}{extra}: {images}, {cost.num_classes} classes, at {plan.image_size} px",
        "student": f"{plan.student}, {_size(cost.student)}",
    }
    for index, teacher in enumerate(cost.teachers, start=1):
        fields[f"teacher {index}"] = f"{teacher.reference}, {_size(teacher)}"
    return fields


def _cost(plan: Plan, cost: Cost) -> dict[str, Any]:
    training, measured = plan.recipe.training, cost.measurement
    length = f"{training.epochs} epochs, batches of {training.batch_size}"
    if cost.total_steps is not None:
        length += f", {cost.total_steps:,} steps"
    fields = {
        "length": length,
        "disk": f"about {_amount(cost.disk_bytes)}B, a checkpoint {_amount(cost.checkpoint_bytes)}B",
    }
    if measured is not None:
        batch = f"batches of {measured.batch_size} on {measured.device}"
        fields["measured"] = f"{measured.images_per_s:.3g} images/s in {batch}"
        if measured.decode_images_per_s is not None:
            fields["measured"] += f"; {measured.decode_images_per_s:.3g} images/s read by one process"
        if measured.memory_bytes is not None:
            fields["memory"] = f"{_amount(measured.memory_bytes)}B of the accelerator"
    if cost.seconds is not None:
        fields["time"] = f"about {timedelta(seconds=round(cost.seconds))} here"
    return fields


def _size(model: ModelCost) -> str:
    cost = f"{_amount(model.macs)} multiply-adds ({_amount(model.flops)}FLOPs) an image"
    return f"{_amount(model.parameters)} parameters, {cost}"


def _amount(number: float) -> str:
    """``number`` with three digits and a unit: 25.6 M."""
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if number >= scale), (1.0, ""))
    return f"{number / scale:.3g} {unit}"
