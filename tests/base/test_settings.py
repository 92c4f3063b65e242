"""Settings with their sources: building, reading, suggestions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.base.setting_values import Count, LearningRate, Range, Words, check_value, convert, value_types
from kdzoo.base.settings import (
    Given,
    SettingsBuilder,
    cited,
    cited_defaults,
    cited_settings,
    flatten,
    parse_assignments,
    read_settings,
    setting_types,
)
from kdzoo.base.suggestions import nearest_names, suggestion, unknown

Frozen = Annotated[int, Range(0, 5), Words((("none", 0), ("all", 5)))]
Rates = Annotated[tuple[float, ...], Range(0, 10), Words((("paper", (0.1, 0.2)),))]


@dataclass(frozen=True, kw_only=True)
class Small:
    lr: LearningRate = cited(0.1, "§2")
    epochs: Count = cited(3, "Table 1")
    frozen: Frozen = cited(0, "ours: nothing said")
    rates: Rates = cited((), "§3")


def test_a_layer_is_put_over_a_weaker_one_value_by_value() -> None:
    builder = SettingsBuilder(value_types(Small), cited_defaults(Small))
    builder.put("epochs", 5, "the data")
    builder.put_all({"lr": Given(0.2, "kdzoo.toml")})
    builder.put_all({"lr": (0.3, "--lr")})
    found = builder.resolve(Small, ["a note"])
    assert found.settings == Small(lr=0.3, epochs=5)
    assert found.to_dict() == {
        "lr": {"value": 0.3, "source": "--lr"},
        "epochs": {"value": 5, "source": "the data"},
        "frozen": {"value": 0, "source": "ours: nothing said"},
        "rates": {"value": [], "source": "§3"},
    }
    assert found.notes == ("a note",)
    builder.put("lr", 0.4, "later")
    assert found.sources["lr"] == "--lr", "what is resolved stays as it was"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"lrr": (1.0, "x")}, "there is no setting 'lrr'"),
        ({"lr": ("0.1", "x")}, "lr is a number above 0 and at most 10,000, got '0.1'"),
        ({"epochs": (0, "x")}, "epochs is an integer from 1 to 1,000,000,000, got 0"),
        ({"frozen": ("all", "x")}, "frozen is an integer from 0 to 5 or one of none, all, got 'all'"),
    ],
)
def test_python_gives_values_and_no_text(layer: dict[str, tuple[object, str]], message: str) -> None:
    builder = SettingsBuilder(value_types(Small), cited_defaults(Small))
    with pytest.raises(UsageError) as caught:
        builder.put_all(layer)
    assert caught.value.message == message
    assert caught.value.hint


def test_text_is_read_as_the_settings_own_types() -> None:
    given = {"lr": ("0.5", "--set"), "frozen": ("all", "--freeze"), "rates": ("paper", "x"), "epochs": (2, "y")}
    read = read_settings(value_types(Small), given)
    assert {name: entry.value for name, entry in read.items()} == {
        "lr": 0.5,
        "frozen": 5,
        "rates": (0.1, 0.2),
        "epochs": 2,
    }
    assert read["frozen"].source == "--freeze"
    with pytest.raises(UsageError, match=r"^--freeze is an integer from 0 to 5 or one of none, all, got 'half'$"):
        read_settings(value_types(Small), {"frozen": ("half", "--freeze")}, name_options=True)
    with pytest.raises(UsageError, match=r"^frozen is an integer"):
        read_settings(value_types(Small), {"frozen": ("half", "--set")}, name_options=True)


@pytest.mark.parametrize("text", ["512,1024", "512x1024", "[512, 1024]", "(512,1024)"])
def test_a_pair_of_sides_may_be_written_with_a_cross(text: str) -> None:
    sides = Annotated[tuple[int, int], Range(8, 8192)]
    assert convert(text, sides, "crop") == (512, 1024)
    with pytest.raises(UsageError):
        check_value(text, sides, "crop")
    with pytest.raises(UsageError):
        convert("512x", sides, "crop")


def test_a_word_beside_a_type_is_no_other_types_word() -> None:
    assert convert("paper", Rates, "rates") == (0.1, 0.2)
    assert convert("none", Rates, "rates") == ()
    with pytest.raises(UsageError):
        convert("all", Rates, "rates")


def test_assignments_take_the_settings_name_with_hyphens() -> None:
    assert parse_assignments(["optimizer.weight-decay=1e-4", "stages.a-b.lr=1"]) == {
        "optimizer.weight_decay": "1e-4",
        "stages.a-b.lr": "1",
    }
    for wrong in ("lr", "=3", "optimizer.=3"):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            parse_assignments([wrong])


def test_rows_of_value_and_citation_make_settings() -> None:
    found = cited_settings(Small, lr=(0.7, "§9"), epochs=(9, "§9"), frozen=(1, "§9"), rates=((1.0,), "§8"))
    assert found.settings == Small(lr=0.7, epochs=9, frozen=1, rates=(1.0,))
    assert found.sources["rates"] == "§8"


def test_a_class_may_name_which_fields_are_settings() -> None:
    @dataclass(frozen=True)
    class Named:
        name: str
        small: Small
        SETTINGS = ("small",)

    value = Named("x", Small())
    assert flatten(value) == {"small.lr": 0.1, "small.epochs": 3, "small.frozen": 0, "small.rates": ()}
    assert list(setting_types(value, "run.")) == [
        "run.small.lr",
        "run.small.epochs",
        "run.small.frozen",
        "run.small.rates",
    ]


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("epoch", ["epochs", "seed"], ["epochs"]),
        ("lr", ["optimizer.lr", "training.epochs"], ["optimizer.lr"]),
        ("Batch-Size", ["batch_size", "seed"], ["batch_size"]),
        ("MEAL-V2", ["meal_v1", "meal_v2"], ["meal_v2"]),
        ("zebra", ["epochs", "seed"], []),
        ("x", [], []),
    ],
)
def test_the_nearest_name(written: str, known: list[str], meant: list[str]) -> None:
    assert nearest_names(written, known) == meant
    hint = suggestion(written, known, "there are others")
    assert hint == (f"did you mean {meant[0]!r}? there are others" if meant else "there are others")
    error = unknown(written, known, what="thing", where="look there")
    assert error.message == f"there is no thing {written!r}"
    assert str(error.hint).endswith("look there")


def test_several_near_names_come_nearest_first() -> None:
    assert nearest_names("resnet5", ["resnet50", "resnet101", "vit"], most=2) == ["resnet50", "resnet101"]
