"""``kdzoo label``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .commands import VerbCommand
from .completion import RECIPE
from .dry_run import model_size, pace, pixels, print_verdict, verdict
from .options import section
from .output import echo, is_main, print_fields, print_json, print_remarks, work
from .run_options import HOW, WHAT, label_options, run_settings, teacher_classes_option, teacher_option
from .settings import setting
from .start import saying_how_to_go_on

if TYPE_CHECKING:
    from ..engine.labelling import LabelResult
    from ..planning.label_cost import LabelCost
    from ..planning.plan import Plan


@click.command(
    cls=VerbCommand,
    examples=[
        (
            "kdzoo label --recipe meal_v2 --teacher runs/a --teacher runs/b --data digits --epochs 5 --out labels",
            "What two teachers say of every image that five epochs show.",
        ),
        (
            "kdzoo distill --recipe meal_v2 --labels labels --data digits --epochs 5 --student cifar_resnet8",
            "Any number of students learn from it; no teacher is loaded.",
        ),
        ("kdzoo label … --out labels --epochs 9 --resume", "Go on after an interruption, or add epochs."),
        ("kdzoo label --recipe meal_v2 --form top5 --dry-run", "How many, how large, how long."),
    ],
)
@section(
    WHAT,
    setting(
        "--recipe",
        metavar="NAME|FILE",
        type=RECIPE,
        help="The recipe that the students will follow.  [default: function_matching]",
    ),
    teacher_option,
    teacher_classes_option,
    setting(
        "--student",
        metavar="REF",
        help="A row of the recipe's table, for its teachers and image size; nothing is trained.",
    ),
)
@section(
    HOW,
    setting(
        "--form",
        metavar="FORM",
        default="float32",
        show_default=True,
        help="How numbers are stored: float32 (exact), float16 (half the space), or top5 (another number works too): "
        "the largest probabilities alone, as FKD's marginal smoothing.",
    ),
)
@label_options
@click.pass_context
def command(ctx: click.Context, recipe: str | None, **options: Any) -> None:
    """Store a teacher's labels once, for many students.

    Every view of a run depends on its seed, epoch and image alone. So the teachers' answers to all of them can be
    stored beforehand, mixed images included; 'kdzoo distill … --labels FOLDER' reads them in the teachers' place.
    Students, optimisers, losses and recipes may differ, and epochs may be fewer; what changes the images is refused.
    """
    from ..planning.default_recipe import plan_verb
    from ..planning.label_run import check_form, folder_of_plan, label, label_plans

    out = Path(options["out"] or "labels").expanduser()
    with work():
        plan = plan_verb("label", recipe, given=run_settings(ctx), variants=options["variant"])
        plans = label_plans(plan, options["stage"])
        for one in plans:
            check_form(options["form"], one.recipe)
    if options["dry_run"]:
        folders = [folder_of_plan(one, out) for one in plans]
        if is_main() and not _show(plans, folders, options["form"], options["resume"], as_json=options["as_json"]):
            ctx.exit(1)
        return
    with work(), saying_how_to_go_on(options["out"], out):
        kept = {name: options[name] for name in ("form", "resume", "trust_teacher", "stage")}
        results = label(plan, out=out, **kept)
    if not is_main():
        return
    if options["as_json"]:
        print_json([result.to_dict() for result in results] if plan.stages else results[0].to_dict())
        return
    for result in results:
        print_fields(_fields(result))


def _fields(result: LabelResult) -> dict[str, Any]:
    fields = {
        "labels": result.labels,
        "epochs": result.epochs,
        "stored": f"{result.num_labels:,} labels of {result.bytes_per_label:,} bytes, {_size(result.bytes)}",
    }
    if result.images_per_s:
        fields["speed"] = f"{result.images_per_s:.0f} images/s"
    if result.unreadable:
        fields["unreadable"] = f"{result.unreadable:,} images, replaced by others"
    return fields


def _show(plans: list[Plan], folders: list[Path], form: str, resume: bool, *, as_json: bool) -> bool:
    """Print what labels take; returns whether they could be begun."""
    from ..planning.label_cost import estimate_labels, label_obstacles

    with work():
        costs = [estimate_labels(one, out=folder, form=form) for one, folder in zip(plans, folders, strict=True)]
        each = list(zip(plans, folders, costs, strict=True))
        against = [text for one, folder, cost in each for text in label_obstacles(one, folder, cost, resume=resume)]
    if as_json:
        documents = [
            {**one.to_dict(), **verdict(against), "out": str(folder), "form": form, "cost": cost.to_dict()}
            for one, folder, cost in each
        ]
        print_json(documents if plans[0].stage is not None else documents[0])
        return not against
    print_verdict(list(dict.fromkeys(against)), _total(costs))
    for one, folder, cost in each:
        remarks = (("warning", one.warnings), ("to download", cost.downloads), ("adapted", cost.adapted))
        if print_remarks(*remarks):
            echo()
        print_fields(_planned(one, folder, form, cost))
        print_remarks(("note", cost.notes))
    return not against


def _total(costs: list[LabelCost]) -> str:
    """Time, memory and disk together, as far as they are known."""
    parts = []
    if all(cost.seconds is not None for cost in costs):
        parts.append(f"about {timedelta(seconds=round(sum(cost.seconds or 0 for cost in costs)))} here")
    memory = [cost.memory for cost in costs if cost.memory is not None]
    if memory:
        parts.append(max(memory, key=lambda one: one.bytes).line())
    if all(cost.bytes is not None for cost in costs):
        parts.append(f"{_size(sum(cost.bytes or 0 for cost in costs))} of disk")
    return ", ".join(parts)


def _planned(plan: Plan, folder: Path, form: str, cost: LabelCost) -> dict[str, Any]:
    data = plan.recipe.data
    extra = f" and {data.unlabeled}" if data.unlabeled else ""
    images = "images unknown" if cost.num_images is None else f"{cost.num_images:,} images"
    fields = {
        "recipe": " + ".join([plan.origin, *plan.variants]),
        "data": f"{data.dataset}{extra}: {images}, at {pixels(plan)} px, seed {plan.run.seed}",
    }
    for index, teacher in enumerate(cost.teachers, start=1):
        fields[f"teacher {index}"] = f"{teacher.reference}, {model_size(teacher)}"
    fields["folder"] = str(folder)
    if cost.bytes is not None and cost.labels_per_epoch is not None:
        fields["labels"] = f"{cost.labels_per_epoch:,} an epoch, {cost.epochs} epochs"
        fields["disk"] = f"{_size(cost.bytes)}: {cost.bytes_per_label:,} bytes a label ({form}); "
        fields["disk"] += f"{_size(cost.free_bytes)} are free"
    if cost.images_per_s is not None:
        fields["measured"] = f"{pace(cost.images_per_s)} images/s by the teachers"
        if cost.decode_images_per_s is not None:
            fields["measured"] += f"; {pace(cost.decode_images_per_s)} images/s read by one process"
    if cost.seconds is not None:
        fields["time"] = f"about {timedelta(seconds=round(cost.seconds))} here"
    return fields


def _size(num_bytes: int) -> str:
    from ..planning.memory import readable

    return readable(num_bytes)
