"""What ``--dry-run`` prints: whether a plan starts, what it costs, what is missing, and the settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..base.amounts import amount, readable
from .output import echo, print_fields, print_json, print_paragraph, print_remarks, print_settings, work

if TYPE_CHECKING:
    from .. import Cost, LabelCost, ModelCost, Plan, PlannedRun


def show(planned: PlannedRun, *, as_json: bool, every_setting: bool) -> bool:
    """Print a run and its cost.

    Args:
        planned: The run.
        as_json: As one JSON document, with every setting.
        every_setting: Whether the settings that are the recipe's own are shown too.

    Returns:
        Whether the run could start.
    """
    with work():
        costs = planned.costs()
        against = planned.obstacles(costs)
    plan, out = planned.to_run, str(planned.out)
    if as_json:
        document = {**plan.to_dict(), **verdict(against), "out": out, "cost": costs[0].to_dict()}
        if plan.stages:
            names = [stage["stage"]["name"] for stage in document["stages"]]
            document["cost"] = {name: cost.to_dict() for name, cost in zip(names, costs, strict=True)}
        print_json(document)
        return not against
    print_verdict(against, total(costs, sum(cost.disk_bytes for cost in costs)))
    usual = {} if every_setting else planned.usual_settings()
    if plan.stages:
        _show_stages(plan, costs, out, usual)
        return not against
    cost = costs[0]
    _remarks(plan, costs)
    print_fields({**_what(plan, cost), "run folder": out, **_length(plan, cost)})
    _show_settings(plan.to_dict()["settings"], usual)
    print_remarks(("note", (*plan.notes, *cost.notes)))
    return not against


def verdict(against: list[str]) -> dict[str, Any]:
    """The verdict's part of a JSON document."""
    return {"starts": not against, "obstacles": against}


def print_verdict(against: list[str], cost: str) -> None:
    """The first lines: whether it starts, and what it costs or what keeps it from starting."""
    if not against:
        print_paragraph(f"starts: {cost or 'what it takes was not measured'}")
        return
    for reason in against:
        print_paragraph(f"cannot start: {reason}")
    if cost:
        print_paragraph(f"it would take {cost}")


def total(costs: Sequence[Cost | LabelCost], disk_bytes: int | None) -> str:
    """Time, memory and disk together, as far as they are known."""
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    memory = [cost.memory for cost in costs if cost.memory is not None]
    parts = [f"about {timedelta(seconds=round(sum(seconds)))} here"] if len(seconds) == len(costs) else []
    if memory:
        parts.append(max(memory, key=lambda one: one.bytes).line())
    if disk_bytes is not None:
        parts.append(f"{readable(disk_bytes)} of disk")
    return ", ".join(parts)


def _show_settings(settings: dict[str, dict[str, Any]], usual: dict[str, Any]) -> None:
    """Settings that are not as usual, and how to see the others."""
    changed = {
        path: entry for path, entry in settings.items() if path not in usual or _plain(usual[path]) != entry["value"]
    }
    if changed:
        echo()
        print_settings(changed)
    if len(changed) < len(settings):
        echo(f"\n{len(settings) - len(changed)} settings are the recipe's own: --all shows them")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _remarks(plan: Plan, costs: list[Cost]) -> None:
    """What is probably wrong, what is fetched first, and what was adapted."""
    downloads = dict.fromkeys(text for cost in costs for text in cost.downloads)
    adapted = (*plan.adapted, *(line for cost in costs for line in cost.adapted if line not in plan.adapted))
    if print_remarks(("warning", plan.warnings), ("to download", downloads), ("adapted", adapted)):
        echo()


def _show_stages(plan: Plan, costs: list[Cost], out: str, usual: dict[str, Any]) -> None:
    """What the stages share, then each with the settings that are its own."""
    shared = plan.to_dict()["settings"]
    _remarks(plan, costs)
    print_fields({"recipe": " + ".join([plan.origin, *plan.variants]), "run folder": out})
    for one, cost in zip(plan.stages, costs, strict=True):
        assert one.stage is not None
        start = f"the student of stage {one.stage.start}" if one.stage.start else None
        what = {key: value for key, value in _what(one, cost).items() if key != "recipe"}
        echo(f"\nStage {one.stage.number}, {one.stage.name}: {one.stage.why}")
        fields = {**what, **({"starts from": start} if start else {}), "run folder": f"{out}/{one.stage.folder}"}
        print_fields({**fields, **_stage_cost(one, cost)})
        own = {path: entry for path, entry in one.to_dict()["settings"].items() if entry != shared[path]}
        if own:
            echo()
            print_settings(own)
        notes = (*one.notes, *(note for note in cost.notes if note not in costs[0].notes))
        adapted = (line for line in (*one.adapted, *cost.adapted) if line not in plan.adapted)
        print_remarks(("note", notes), ("warning", one.warnings), ("adapted", dict.fromkeys(adapted)))
    echo("\nSettings of all stages where none of their own is shown")
    _show_settings(shared, usual)
    print_remarks(("note", (*plan.notes, *costs[0].notes)))


def _what(plan: Plan, cost: Cost) -> dict[str, Any]:
    targets = plan.facts.num_targets
    what = f"{targets} numbers to predict" if targets else f"{cost.num_classes} classes"
    what += ", several an image" if plan.facts.multilabel else ""
    fields = {
        "recipe": " + ".join([plan.origin, *plan.variants]),
        "data": f"{images(plan, cost)}, {what}, at {pixels(plan)} px",
        "student": f"{plan.student}, {_model_size(cost.student)}",
        **teachers(cost),
    }
    if plan.labels is not None:
        fields["teachers"] = f"not run, labels stored in {plan.labels}: {', '.join(plan.teachers)}"
    return fields


def images(plan: Plan, cost: Cost | LabelCost) -> str:
    """The training data and how many images it has."""
    data = plan.recipe.data
    extra = f" and {data.unlabeled}" if data.unlabeled else ""
    return f"{data.dataset}{extra}: {'images unknown' if cost.num_images is None else f'{cost.num_images:,} images'}"


def teachers(cost: Cost | LabelCost) -> dict[str, str]:
    """A field a teacher, with its size."""
    sizes = [f"{teacher.reference}, {_model_size(teacher)}" for teacher in cost.teachers]
    return {f"teacher {index}": size for index, size in enumerate(sizes, start=1)}


def pixels(plan: Plan) -> str:
    """The side of the crops; both where they are no squares."""
    height, width = plan.recipe.data.augmentation.size
    return str(height) if height == width else f"{height}×{width}"


def _length(plan: Plan, cost: Cost) -> dict[str, Any]:
    """How long a run is, and at what speed that was reckoned."""
    training, measured = plan.recipe.training, cost.measurement
    length = f"{training.epochs} epochs, batches of {training.batch_size}"
    if cost.memory is not None and cost.memory.parts > 1:
        length += f" in {cost.memory.parts} parts"
    if cost.total_steps is not None:
        length += f", {cost.total_steps:,} steps"
    fields = {"length": length, "checkpoint": f"{amount(cost.checkpoint_bytes)}B"}
    if measured is not None:
        batch = f"batches of {measured.batch_size} on {measured.device}"
        fields["measured"] = f"{pace(measured.images_per_s)} images/s in {batch}"
        if measured.decode_images_per_s is not None:
            fields["measured"] += f"; {pace(measured.decode_images_per_s)} images/s read by one process"
    return fields


def _stage_cost(plan: Plan, cost: Cost) -> dict[str, Any]:
    """The length of a stage, and its part of what the first lines say of all."""
    fields = {**_length(plan, cost), "disk": f"about {amount(cost.disk_bytes)}B"}
    if cost.memory is not None:
        fields["memory"] = cost.memory.line()
    if cost.seconds is not None:
        fields["time"] = f"about {timedelta(seconds=round(cost.seconds))} here"
    return fields


def _model_size(model: ModelCost) -> str:
    """A network's parameters and arithmetic."""
    cost = f"{amount(model.macs)} multiply-adds ({amount(model.flops)}FLOPs) an image"
    return f"{amount(model.parameters)} parameters, {cost}"


def pace(images_per_s: float) -> str:
    """Images a second as a person reads them: three digits, and no fewer than all before the point."""
    return f"{images_per_s:,.0f}" if images_per_s >= 100 else f"{images_per_s:.3g}"
