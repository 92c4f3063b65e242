"""What ``--dry-run`` prints: what a plan would do and cost, and where each setting comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .output import echo, print_fields, print_json, print_remarks, print_settings, work

if TYPE_CHECKING:
    from ..planning.cost import Cost, ModelCost
    from ..planning.plan import Plan

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def show(plan: Plan, *, as_json: bool, out: str) -> None:
    """Print a plan and its cost.

    Args:
        plan: From ``resolve``.
        as_json: As one JSON document.
        out: The run folder that it would have.
    """
    from ..planning import estimate

    with work():
        plans = plan.stages or (plan,)
        costs = [estimate(one) for one in plans]
    if as_json:
        document = {**plan.to_dict(), "out": out, "cost": costs[0].to_dict()}
        if plan.stages:
            names = [stage["stage"]["name"] for stage in document["stages"]]
            document["cost"] = {name: cost.to_dict() for name, cost in zip(names, costs, strict=True)}
        print_json(document)
        return
    if plan.stages:
        _show_stages(plan, costs, out)
        return
    cost = costs[0]
    print_fields({**_what(plan, cost), "run folder": out, **_cost(plan, cost)})
    echo()
    print_settings(plan.to_dict()["settings"])
    print_remarks(("note", (*plan.notes, *cost.notes)), ("warning", plan.warnings), ("missing", cost.missing))


def _show_stages(plan: Plan, costs: list[Cost], out: str) -> None:
    """What the stages share, then each with the settings that are its own."""
    shared = plan.to_dict()["settings"]
    print_fields({"recipe": " + ".join([plan.origin, *plan.variants]), "run folder": out, **_whole(costs)})
    for one, cost in zip(plan.stages, costs, strict=True):
        assert one.stage is not None
        start = f"the student of stage {one.stage.start}" if one.stage.start else None
        what = {key: value for key, value in _what(one, cost).items() if key != "recipe"}
        echo(f"\nStage {one.stage.number}, {one.stage.name}: {one.stage.why}")
        fields = {**what, **({"starts from": start} if start else {}), "run folder": f"{out}/{one.stage.folder}"}
        print_fields({**fields, **_cost(one, cost)})
        own = {path: entry for path, entry in one.to_dict()["settings"].items() if entry != shared[path]}
        if own:
            echo()
            print_settings(own)
        notes = (*one.notes, *(note for note in cost.notes if note not in costs[0].notes))
        print_remarks(("note", notes), ("warning", one.warnings))
    echo("\nSettings of all stages where none of their own is shown")
    print_settings(shared)
    missing = dict.fromkeys(text for cost in costs for text in cost.missing)
    print_remarks(("note", (*plan.notes, *costs[0].notes)), ("warning", plan.warnings), ("missing", missing))


def _whole(costs: list[Cost]) -> dict[str, Any]:
    fields = {"disk": f"about {_amount(sum(cost.disk_bytes for cost in costs))}B"}
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    if len(seconds) == len(costs):
        fields["time"] = f"about {timedelta(seconds=round(sum(seconds)))} here, all stages"
    return fields


def _what(plan: Plan, cost: Cost) -> dict[str, Any]:
    data = plan.recipe.data
    extra = f" and {data.unlabeled}" if data.unlabeled else ""
    images = "images unknown" if cost.num_images is None else f"{cost.num_images:,} images"
    targets = plan.facts.num_targets
    what = f"{targets} numbers to predict" if targets else f"{cost.num_classes} classes"
    fields = {
        "recipe": " + ".join([plan.origin, *plan.variants]),
        "data": f"{data.dataset}{extra}: {images}, {what}, at {pixels(plan)} px",
        "student": f"{plan.student}, {model_size(cost.student)}",
    }
    for index, teacher in enumerate(cost.teachers, start=1):
        fields[f"teacher {index}"] = f"{teacher.reference}, {model_size(teacher)}"
    if plan.labels is not None:
        fields["teachers"] = f"not run, labels stored in {plan.labels}: {', '.join(plan.teachers)}"
    return fields


def pixels(plan: Plan) -> str:
    """The side of the crops; both where they are no squares."""
    height, width = plan.recipe.data.augmentation.size
    return str(height) if height == width else f"{height}×{width}"


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


def model_size(model: ModelCost) -> str:
    """A network's parameters and arithmetic."""
    cost = f"{_amount(model.macs)} multiply-adds ({_amount(model.flops)}FLOPs) an image"
    return f"{_amount(model.parameters)} parameters, {cost}"


def _amount(number: float) -> str:
    """``number`` with three digits and a unit: 25.6 M."""
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if number >= scale), (1.0, ""))
    return f"{number / scale:.3g} {unit}"
