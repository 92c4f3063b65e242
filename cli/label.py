"""``kdzoo label``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.amounts import readable
from .commands import VerbCommand
from .completion import RECIPE
from .dry_run import images, pace, pixels, print_verdict, teachers, total, verdict
from .options import section
from .output import echo, is_main, print_fields, print_json, print_remarks, work
from .run_options import HOW, WHAT, label_options, run_arguments, teacher_classes_option, teacher_option
from .settings import setting
from .start import saying_how_to_go_on

if TYPE_CHECKING:
    from .. import LabelCost, LabelResult, Plan, PlannedLabels


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
    from .. import plan_labels

    with work():
        planned = plan_labels(recipe, **run_arguments(ctx))
    if options["dry_run"]:
        if is_main() and not _show(planned, as_json=options["as_json"]):
            ctx.exit(1)
        return
    with work(), saying_how_to_go_on(options["out"], planned.out):
        results = planned.start()
    if not is_main():
        return
    if options["as_json"]:
        print_json([result.to_dict() for result in results] if planned.plan.stages else results[0].to_dict())
        return
    for result in results:
        print_fields(_fields(result))


def _fields(result: LabelResult) -> dict[str, Any]:
    fields = {
        "labels": result.labels,
        "epochs": result.epochs,
        "stored": f"{result.num_labels:,} labels of {result.bytes_per_label:,} bytes, {readable(result.bytes)}",
    }
    if result.images_per_s:
        fields["speed"] = f"{result.images_per_s:.0f} images/s"
    if result.unreadable:
        fields["unreadable"] = f"{result.unreadable:,} images, replaced by others"
    return fields


def _show(planned: PlannedLabels, *, as_json: bool) -> bool:
    """Print what labels take; returns whether they could be begun."""
    with work():
        costs = planned.costs()
        against = planned.obstacles(costs)
    each = list(zip(planned.plans, planned.folders, costs, strict=True))
    if as_json:
        documents = [
            {**one.to_dict(), **verdict(against), "out": str(folder), "form": planned.form, "cost": cost.to_dict()}
            for one, folder, cost in each
        ]
        print_json(documents if planned.plans[0].stage is not None else documents[0])
        return not against
    sizes = [cost.bytes for cost in costs if cost.bytes is not None]
    print_verdict(list(dict.fromkeys(against)), total(costs, sum(sizes) if len(sizes) == len(costs) else None))
    for one, folder, cost in each:
        remarks = (("warning", one.warnings), ("to download", cost.downloads), ("adapted", cost.adapted))
        if print_remarks(*remarks):
            echo()
        print_fields(_planned(one, folder, planned.form, cost))
        print_remarks(("note", cost.notes))
    return not against


def _planned(plan: Plan, folder: Path, form: str, cost: LabelCost) -> dict[str, Any]:
    fields = {
        "recipe": " + ".join([plan.origin, *plan.variants]),
        "data": f"{images(plan, cost)}, at {pixels(plan)} px, seed {plan.run.seed}",
        **teachers(cost),
        "folder": str(folder),
    }
    if cost.bytes is not None and cost.labels_per_epoch is not None:
        fields["labels"] = f"{cost.labels_per_epoch:,} an epoch, {cost.epochs} epochs"
        fields["disk"] = f"{readable(cost.bytes)}: {cost.bytes_per_label:,} bytes a label ({form}); "
        fields["disk"] += f"{readable(cost.free_bytes)} are free"
    if cost.images_per_s is not None:
        fields["measured"] = f"{pace(cost.images_per_s)} images/s by the teachers"
        if cost.decode_images_per_s is not None:
            fields["measured"] += f"; {pace(cost.decode_images_per_s)} images/s read by one process"
    if cost.seconds is not None:
        fields["time"] = f"about {timedelta(seconds=round(cost.seconds))} here"
    return fields
