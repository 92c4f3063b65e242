"""Every numeric setting of every recipe and protocol has a declared range; what lies outside is named, whoever asks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, get_args, get_origin

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.base.setting_values import Range, check_value, check_values, convert, leaves, value_types
from kdzoo.base.settings import read_settings, setting_types
from kdzoo.cli.run_options import run_options
from kdzoo.cli.settings import within
from kdzoo.data import Augmentation, EvalTransform, Mixing
from kdzoo.data.curation import Thresholds
from kdzoo.data.eval_views import EvalView
from kdzoo.engine.curation import CurationSettings
from kdzoo.planning.plan import RunSettings
from kdzoo.planning.plan_checks import check_plan
from kdzoo.recipes import get_recipe, recipe_names
from kdzoo.recipes.overrides import Place, typed
from kdzoo.recipes.recipe import Recipe
from kdzoo.runs import SETTING_OF
from kdzoo.transfer.classification.protocols import PROTOCOLS, Protocol
from kdzoo.transfer.detection import DetectionSettings
from kdzoo.transfer.segmentation import SegmentationSettings

DENSE = {"detection": DetectionSettings, "segmentation": SegmentationSettings}


def ranges(annotation: Any, declared: Range | None = None) -> Iterator[tuple[type, int, Range | None]]:
    """(kind, how many values, range) of each number inside an annotated type."""
    if get_origin(annotation) is Annotated:
        bare, *beside = get_args(annotation)
        yield from ranges(bare, next(one for one in beside if isinstance(one, Range)))
    elif annotation in (int, float):
        yield annotation, 1, declared
    elif get_origin(annotation) is tuple:
        args = get_args(annotation)
        for kind, _, found in ranges(args[0], declared):
            yield kind, 1 if args[-1] is Ellipsis else len(args), found
    elif get_origin(annotation) is not None and str(get_origin(annotation)) != "typing.Literal":
        for part in get_args(annotation):
            yield from ranges(part, declared)


def outside(kind: type, limits: Range) -> tuple[str, ...]:
    """The text of a value below the range, of one above, and of what is no number."""
    step = 1 if kind is int else max(1e-9, abs(limits.low) * 1e-6)
    low = limits.low if limits.above_low else limits.low - step
    high = limits.high if limits.below_high else limits.high * (1 + 1e-6) + 1
    return (repr(kind(low)), repr(kind(high)), "nan", "inf", "-inf", "1e999")


def assert_refused(read: Any, path: str, annotation: Any) -> int:
    """Drive values outside through a parser; the count of those tried."""
    tried = 0
    for kind, count, limits in ranges(annotation):
        assert limits is not None, f"{path} has no declared range"
        assert limits.low < limits.high
        for value in outside(kind, limits):
            with pytest.raises(UsageError) as caught:
                read(path, ",".join([value] * count))
            message = caught.value.message
            assert path in message
            assert value in message
            assert str(limits) in message
            assert "\n" not in message
            assert caught.value.hint
            tried += 1
    return tried


def recipe_kinds() -> dict[str, tuple[Recipe, Any]]:
    """Every setting of every recipe once: (a recipe that has it, its annotated type) by kind and path."""
    found: dict[str, tuple[Recipe, Any]] = {}
    for name in recipe_names():
        recipe = get_recipe(name)
        for path, annotation in setting_types(recipe).items():
            own = type(recipe.objective).__name__ if path.startswith("objective.") else ""
            found.setdefault(f"{own}:{path}", (recipe, annotation))
    return found


def test_every_number_of_every_recipe_has_its_range() -> None:
    tried = 0
    for key, (recipe, annotation) in recipe_kinds().items():
        path = key.partition(":")[2]
        tried += assert_refused(lambda name, text, recipe=recipe: typed(recipe, {name: text}), path, annotation)
    assert tried > 500


def test_the_published_values_lie_inside() -> None:
    """Of the recipes, their students, variants and stages."""
    checked = 0
    for name in recipe_names():
        recipe = get_recipe(name)
        kinds = setting_types(recipe)
        check_values(recipe)
        for table in (recipe.students, recipe.variants, recipe.stages):
            for row in table:
                for path, value in row.overrides.items():
                    check_value(value, kinds[Place.parse(path).setting], path)
                    checked += 1
    assert checked > 200
    protocols = [one.settings for one in PROTOCOLS.values()]
    for settings in (*protocols, *(kind() for kind in DENSE.values()), CurationSettings(), RunSettings()):
        check_values(settings)


def test_every_number_of_every_protocol_has_its_range() -> None:
    tried = 0
    for path, _, annotation in leaves(PROTOCOLS["ssld"].settings):
        tried += assert_refused(lambda name, text, kind=annotation: convert(text, kind, name), path, annotation)
    for kind in DENSE.values():
        for path, _, annotation in leaves(kind()):
            tried += assert_refused(
                lambda name, text, kind=kind: read_settings(value_types(kind), {name: (text, "--set")}),
                path,
                annotation,
            )
    for settings in (CurationSettings(), RunSettings()):
        for path, _, annotation in leaves(settings):
            tried += assert_refused(lambda name, text, kind=annotation: convert(text, kind, name), path, annotation)
    assert tried > 300


@pytest.mark.parametrize(
    "build",
    [
        lambda: Augmentation(image_size=0),
        lambda: Augmentation(image_size=32, hflip_prob=1.5),
        lambda: Augmentation(image_size=32, scale=(0.9, 0.1)),
        lambda: Augmentation(image_size="32"),  # type: ignore[arg-type]
        lambda: Mixing(mixup_alpha=math.nan),
        lambda: Mixing(cutmix_prob=-0.1),
        lambda: EvalTransform(image_size=60_000, crop_pct=1.0, interpolation="bilinear"),
        lambda: EvalTransform(image_size=32, crop_pct=1e-9, interpolation="bilinear"),
        lambda: EvalView(image_size=32, crop_pct=math.inf, interpolation="bilinear"),
        lambda: CurationSettings(similarity=2.0),
        lambda: CurationSettings(thresholds=Thresholds(inliers=3)),
        lambda: DetectionSettings(momentum=1.0),
        lambda: DetectionSettings(score_threshold=-1.0),
        lambda: SegmentationSettings(crop=(0, 512)),
    ],
)
def test_python_is_checked_as_the_command_line_is(build: Any) -> None:
    with pytest.raises(UsageError) as caught:
        build()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda recipe: replace(recipe, training=replace(recipe.training, ema_decay=2.0)), "training.ema_decay"),
        (lambda recipe: replace(recipe, optimizer=replace(recipe.optimizer, lr=-1.0)), "optimizer.lr"),
        (lambda recipe: replace(recipe, objective=replace(recipe.objective, temperature=0)), "objective.temperature"),
        (lambda recipe: replace(recipe, data=replace(recipe.data, std=(0.0, 1.0, 1.0))), "data.std"),
    ],
)
def test_a_recipe_made_in_python_is_checked_when_it_is_settled(change: Any, path: str, facts: Any) -> None:
    with pytest.raises(UsageError, match=re.escape(path)):
        check_plan(change(get_recipe("hinton_kd")), facts, [], [])


@pytest.fixture
def facts() -> Any:
    from kdzoo.planning.plan import DataFacts

    return DataFacts(num_classes=10, num_images=1000, native_size=(8, 8))


def test_the_options_have_their_settings_own_ranges() -> None:
    """What ``--epochs`` accepts is what ``training.epochs`` accepts, and so on."""
    import click

    command = click.command()(run_options(lambda **_: None))
    kinds = {**setting_types(get_recipe("supervised")), **setting_types(RunSettings(), "run.")}
    compared = 0
    for option in command.params:
        path = SETTING_OF.get(str(option.name))
        annotation = kinds.get(path) if path else None
        if get_origin(annotation) is Annotated:
            assert vars(option.type) == vars(within(annotation)), option.name
            compared += 1
    assert compared == 5


def test_the_transfer_options_have_the_protocols_ranges() -> None:
    from kdzoo.cli.transfer_classification import _VALUES, command

    kinds = value_types(Protocol)
    compared = 0
    for option in command.params:
        annotation = kinds.get(_VALUES.get(str(option.name), ""))
        if get_origin(annotation) is Annotated:
            assert vars(option.type) == vars(within(annotation)), option.name
            compared += 1
    assert compared == 8


def test_what_is_no_value_is_named() -> None:
    read = partial(convert, path="key")
    for value, annotation in (("a\0b", str), ("\ud800", str), ("", str), (10**5000, int), ([[1]] * 3, int)):
        with pytest.raises(UsageError, match=r"^key is ") as caught:
            read(value, annotation)
        assert len(caught.value.message) < 200
