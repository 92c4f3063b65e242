"""Typed changes by dotted path."""

from dataclasses import dataclass
from typing import Literal

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.base.setting_values import convert
from kdzoo.base.settings import flatten, parse_assignments, setting_types
from kdzoo.recipes.meal_v2 import RECIPE
from kdzoo.recipes.overrides import override


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("optimizer.lr", "2e-2", 0.02),
        ("training.epochs", "3", 3),
        ("optimizer.nesterov", "yes", True),
        ("training.ema_decay", "0.999", 0.999),
        ("training.ema_decay", "none", None),
        ("schedule.milestones", "1,2,3", (1, 2, 3)),
        ("schedule.milestones", "[5]", (5,)),
        ("schedule.milestones", "", ()),
        ("data.augmentation.scale", "(0.2, 1)", (0.2, 1.0)),
        ("data.augmentation.color_jitter", "none", None),
        ("data.augmentation.color_jitter", "0.4,0.4,0.4", (0.4, 0.4, 0.4)),
        ("data.mean", "model", "model"),
        ("data.mean", "0.5,0.5,0.5", (0.5, 0.5, 0.5)),
        ("objective.discriminator", "reversed", "reversed"),
        ("teachers.models", "a,b", ("a", "b")),
        ("data.unlabeled", "photos", "photos"),
    ],
)
def test_text_becomes_the_settings_type(path, text, value):
    found = flatten(override(RECIPE, {path: text}))[path]
    assert found == value
    assert type(found) is type(value)
    assert {k: v for k, v in flatten(override(RECIPE, {path: text})).items() if k != path} == {
        k: v for k, v in flatten(RECIPE).items() if k != path
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("optimizer.lr", "fast"),
        ("optimizer.lr", "nan"),
        ("training.epochs", "3.5"),
        ("training.epochs", True),
        ("optimizer.nesterov", "maybe"),
        ("schedule.name", "zigzag"),
        ("schedule.milestones", "1,x"),
        ("data.augmentation.scale", "0.5"),
        ("data.mean", "teacher"),
        ("data.dataset", ""),
    ],
)
def test_a_wrong_type_is_a_usage_error_that_names_the_setting(path, text):
    with pytest.raises(UsageError) as error:
        override(RECIPE, {path: text})
    assert path in error.value.message
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("written", "meant"),
    [("optimiser.lr", "optimizer.lr"), ("lr", "optimizer.lr"), ("training.epoch", "training.epochs")],
)
def test_an_unknown_key_names_the_nearest(written, meant):
    with pytest.raises(UsageError, match=f"no setting '{written}'") as error:
        override(RECIPE, {written: "1"})
    assert f"'{meant}'" in error.value.hint


def test_a_value_that_its_class_refuses_is_a_usage_error():
    with pytest.raises(UsageError):
        override(RECIPE, {"data.mixing.cutmix_prob": "1.5"})


def test_every_setting_takes_its_own_text_back():
    types = setting_types(RECIPE)
    for path, value in flatten(RECIPE).items():
        text = ",".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
        assert convert(text, types[path], path) == value, path


def test_assignments():
    assert parse_assignments(["a.b=1", "c=x=y", "a.b=2"]) == {"a.b": "2", "c": "x=y"}
    with pytest.raises(UsageError, match="KEY=VALUE"):
        parse_assignments(["optimizer.lr"])


def test_nested_types_are_described():
    @dataclass(frozen=True)
    class Settings:
        mode: Literal["a", "b"] | None = None

    with pytest.raises(UsageError, match="one of a, b or none"):
        override(Settings(), {"mode": "c"})
