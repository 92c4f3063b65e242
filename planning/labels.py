"""Stored labels and the plans that may learn from them: what decides a view, and what must be the same for both.

A store may serve another recipe, student, optimiser, schedule, loss or fewer epochs than it was made with. It serves no
run that would see other images: another seed, other data, augmentation or mixing, and (where batches are mixed or drawn
from two sets) another batch size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base.errors import DataError, UsageError
from ..base.settings import flatten
from ..data import BatchOrder, LabelStore, TeacherRecord, WholeEpochs
from ..recipes.hints import LIVE
from ..recipes.recipe import Recipe, Stage
from ..zoo import LoadedModel
from .models import feature_width, output_form
from .plan import Plan
from .sources import Sources
from .teacher_views import sides_seen

_SEED, _DATA, _BATCH = "run.seed", "data.train_fingerprint", "training.batch_size"
_SIZES = "data.train_sizes"
_DECODE = "training.views_per_decode"
_VIEW, _SIDES = "teachers.view", "the teachers' image sizes"
_FLAGS = {
    _SEED: "--seed {}",
    _BATCH: "--batch-size {}",
    _DECODE: "--set training.views_per_decode={}",
    "data.augmentation.image_size": "--image-size {}",
}


def is_mixed(recipe: Recipe) -> bool:
    """Whether a label belongs to a place in a batch, and not to an image alone."""
    mixing = recipe.data.mixing
    return mixing.mixup_prob > 0 or mixing.cutmix_prob > 0 or recipe.objective.unlabeled_share is not None


def views_of(plan: Plan, sources: Sources, teachers: Sequence[TeacherRecord]) -> dict[str, Any]:
    """Everything that decides which images a run shows at which place of which epoch, flat and JSON-able."""
    recipe = plan.recipe
    mixing = recipe.data.mixing
    views: dict[str, Any] = {
        _SEED: plan.run.seed,
        _DATA: sources.train.fingerprint(),
        **{key: value for key, value in sources.sizes.items() if key == _SIZES},
        **flatten(recipe.data.augmentation, "data.augmentation."),
        "objective.unlabeled_share": recipe.objective.unlabeled_share,
        "data.mixing.mixup_prob": mixing.mixup_prob,
        "data.mixing.cutmix_prob": mixing.cutmix_prob,
    }
    for kind, prob in (("mixup", mixing.mixup_prob), ("cutmix", mixing.cutmix_prob)):
        if prob > 0:
            views[f"data.mixing.{kind}_alpha"] = getattr(mixing, f"{kind}_alpha")
    if recipe.training.views_per_decode > 1:
        views[_DECODE] = recipe.training.views_per_decode
    if is_mixed(recipe):
        views[_BATCH] = recipe.training.batch_size
    if recipe.teachers.view != "student":
        views.update({_VIEW: recipe.teachers.view, _SIDES: sides_seen(recipe, teachers)})
    return dict(json.loads(json.dumps(views)))


def order_of(plan: Plan, sources: Sources) -> BatchOrder:
    """Which images a labelled step takes: the run's own steps, and where images stand alone the rest of them too."""
    training, share = plan.recipe.training, plan.recipe.objective.unlabeled_share
    kind = BatchOrder if is_mixed(plan.recipe) else WholeEpochs
    return kind(
        num_samples=len(sources.train),
        batch_size=training.batch_size,
        epochs=training.epochs,
        seed=plan.run.seed,
        num_unlabeled=0 if share is None else int((sources.train.labels == -1).sum()),
        unlabeled_share=share,
        views_per_decode=training.views_per_decode,
    )


def rows_of(order: BatchOrder) -> int:
    """Labels of an epoch."""
    return order.num_samples if isinstance(order, WholeEpochs) else order.steps_per_epoch * order.batch_size


def refuse_live(recipe: Recipe) -> None:
    """Refuse a recipe whose teachers cannot answer beforehand.

    Raises:
        UsageError: It has no teachers, or learns from what only the running teachers give.
    """
    if not recipe.objective.uses_teachers:
        raise UsageError(
            f"{recipe.name} uses no teachers, there is nothing to store", hint="'kdzoo recipes' lists others"
        )
    live = recipe.objective.reads.live or (LIVE if recipe.objective.hint_weight else "")
    if live:
        raise UsageError(
            f"{recipe.name} cannot learn from stored labels: {live}",
            hint="'kdzoo distill' with --teacher runs the teachers beside the student",
        )


def record_of(teacher: LoadedModel, sha256: str, num_outputs: int | None = None) -> TeacherRecord:
    """What labels remember of a teacher; it answers with ``num_outputs`` numbers, by default with all it has."""
    return TeacherRecord(
        reference=teacher.reference,
        licence=teacher.licence,
        sha256=sha256,
        outputs=teacher.num_classes if num_outputs is None else num_outputs,
        features=feature_width(teacher),
        output_form=dict(output_form(teacher)),
        preprocessing=teacher.preprocessing.to_dict(),
    )


def folder_of(labels: str, recipe: Recipe, stage: Stage | str | None) -> Path:
    """Where the labels of a run lie: below the given folder where the recipe has stages.

    Args:
        labels: The folder that was given.
        recipe: The recipe.
        stage: A stage or its name; None for what the stages share, which takes the first stage that has labels.
    """
    folder = Path(labels).expanduser()
    if stage is not None:
        return folder / (stage if isinstance(stage, str) else stage.name)
    below = [folder / one.name for one in recipe.stages]
    return next((path for path in below if path.is_dir()), below[0] if below else folder)


def stored_labels(plan: Plan) -> LabelStore | None:
    """The labels that a plan names, unchecked; None where it runs its teachers.

    Raises:
        DataError: They are not there, or their manifest is damaged.
    """
    labels = plan.labels
    if labels is None:
        return None
    return LabelStore(folder_of(labels, plan.recipe, None if plan.stage is None else plan.stage.name))


def open_labels(plan: Plan, sources: Sources) -> LabelStore:
    """The labels that a plan learns from, fit for its run.

    Raises:
        UsageError: The recipe needs the teachers themselves.
        DataError: The labels are missing or damaged, are of other views, lack the features that the recipe reads, or
            are of fewer epochs.
        TeacherError: The run's views are the teachers' own, and these are no squares.
    """
    recipe, store = plan.recipe, stored_labels(plan)
    assert store is not None
    refuse_live(recipe)
    folder = store.folder
    _require_views(store, views_of(plan, sources, store.head.teachers), plan)
    if recipe.objective.reads.features and not store.head.holds_features:
        raise DataError(
            f"{recipe.name} reads the teachers' features, {folder} holds their logits alone",
            hint=f"store them: kdzoo label --recipe {recipe.name} …",
        )
    wanted, stored = recipe.training.epochs, store.num_epochs
    if wanted > stored:
        raise DataError(
            f"{folder} holds the labels of {stored} epochs, the run has {wanted}",
            hint=f"store more with 'kdzoo label … --epochs {wanted} --resume', or use --epochs {stored}",
        )
    store.require(wanted)
    return store


def _require_views(store: LabelStore, views: dict[str, Any], plan: Plan) -> None:
    before, views = ({_VIEW: "student", _DECODE: 1, **found} for found in (store.head.views, views))
    for key in dict.fromkeys([*before, *views]):
        if before.get(key) == views.get(key) or (key == _SIZES and key not in before):
            continue
        if key in (_DATA, _SIZES):
            raise DataError(
                f"the labels in {store.folder} are of other training images, labels or classes than the run's",
                hint="give the data that was labelled (--data, --unlabeled), or label this data",
            )
        was = before.get(key)
        flag = _FLAGS.get(key, f"--set {key}={{}}").format(was if was is not None else "none")
        raise DataError(
            f"the labels in {store.folder} are of other views: {key} was {was!r}, is {views.get(key)!r}",
            hint=f"use {flag}, or label these views" if key in plan.settings() else "label these views",
        )
