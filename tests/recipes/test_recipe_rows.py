"""A recipe from rows: what each line of a file comes to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kdzoo.recipes.blocks import BENCHMARK, REPDISTILLER
from kdzoo.recipes.citations import DEFAULT, citations
from kdzoo.recipes.hinton_kd import HintonSettings
from kdzoo.recipes.recipe import CitedValue, Paper, Recipe, StudentRow
from kdzoo.recipes.rows import at, columns, from_rows, sources, stage, student, variant

PAPER = Paper(title="T", authors="A", year=2020, url="https://example.org")
SETTINGS = (
    *REPDISTILLER,
    ("student.model", "cifar_resnet8", BENCHMARK),
    ("teachers.models", ("cifar_resnet20",), "§1"),
    *at("§3", {"objective.temperature": 4.0, "objective.kd_weight": 0.9, "objective.label_weight": 0.1}),
)
HEAD = (
    columns("name", "model", "teachers", "image_size", "top1"),
    sources("Table 1", "§2", "§3", "§4", "Table 1"),
)


def build(settings: Any = SETTINGS, **tables: Any) -> Recipe:
    return from_rows(
        name="x", summary="s", paper=PAPER, reproduces=(), objective=HintonSettings, settings=settings, **tables
    )


def test_rows_become_settings_with_citations() -> None:
    recipe = build()
    assert isinstance(recipe.objective, HintonSettings)
    assert (recipe.objective.temperature, recipe.data.mixing.cutmix_prob) == (4.0, 0.0)
    cited = citations(recipe)
    assert (cited["objective.temperature"], cited["student.model"]) == ("§3", BENCHMARK)
    assert cited["training.log_every_steps"] == DEFAULT


def test_a_later_row_replaces_an_earlier_one() -> None:
    recipe = build((*SETTINGS, ("optimizer.lr", 0.3, "ours: to see")))
    assert recipe.optimizer.lr == 0.3
    assert [row for row in recipe.cited if row.path == "optimizer.lr"] == [
        CitedValue("optimizer.lr", 0.3, "ours: to see")
    ]


def test_a_student_is_a_line_and_the_rows_below_it() -> None:
    recipe = build(
        students=(
            *HEAD,
            student("a", "a.tag", (), 32, None, variants=("long",)),
            ("note", "no number"),
            student("b", None, (), 32, 70.5),
            ("model", "b.tag", "ours: a guess"),
            ("optimizer.lr", 0.1, "Table 9"),
        )
    )
    assert recipe.students == (
        StudentRow(name="a", model="a.tag", teachers=(), image_size=32, note="no number", variants=("long",)),
        StudentRow(name="b", model="b.tag", teachers=(), image_size=32, top1=70.5, overrides={"optimizer.lr": 0.1}),
    )
    cited = citations(recipe)
    assert (cited["students.a.model"], cited["students.b.model"]) == ("§2", "ours: a guess")
    assert (cited["students.b.top1"], cited["students.b.overrides.optimizer.lr"]) == ("Table 1", "Table 9")
    assert "students.a.top1" not in cited


def test_the_rows_below_a_stage_and_a_variant_are_its_own() -> None:
    recipe = build(
        stages=(
            stage("first", "why"),
            ("start", None, "§1"),
            stage("second", "why", ("long",)),
            ("start", "first", "§2"),
            ("optimizer.lr", 0.1, "§2"),
        ),
        variants=(variant("long", "why", ("a*",)), ("training.epochs", 9, "§5"), variant("empty", "why")),
    )
    first, second = recipe.stages
    assert (first.start, first.overrides, second.start, second.only_with) == (None, {}, "first", ("long",))
    assert second.overrides == {"optimizer.lr": 0.1}
    long, empty = recipe.variants
    assert (long.overrides, long.students, empty.overrides) == ({"training.epochs": 9}, ("a*",), {})
    cited = citations(recipe)
    assert (cited["stages.second.start"], cited["variants.long.training.epochs"]) == ("§2", "§5")


@pytest.mark.parametrize(
    ("where", "rows", "path"),
    [
        ("settings", (*SETTINGS, ("optimizer.lr", 0.1)), "optimizer.lr"),
        ("settings", (*SETTINGS, ("optimizer.lr", 0.1, "")), "optimizer.lr"),
        ("settings", (*SETTINGS, ("optimizer.lr", 0.1, "a good value")), "optimizer.lr"),
        ("variants", (variant("v", "why"), ("optimizer.lr", 0.1, "")), r"variants\.v\.optimizer\.lr"),
        ("variants", (variant("v", "why"), ("optimizer.lr", 0.1)), r"variants\.v\.optimizer\.lr"),
        ("students", (*HEAD, student("a", "b", (), 32, 1.0), ("optimizer.lr", 1)), r"students\.a\.overrides"),
        ("stages", (stage("s", "why"), ("start", None, "")), r"stages\.s\.start"),
        (
            "students",
            (*HEAD[:1], sources("§1", "", "§1", "§1", ""), student("a", "b", (), 32, None)),
            r"students\.a\.model",
        ),
        ("students", (*HEAD, student("a", "b", (), 32, 1.0), ("optimizer.lr", 1, "")), r"students\.a\.overrides"),
        ("constants", [("TEACHERS", ("a",), "")], "TEACHERS"),
    ],
)
def test_a_value_without_a_place_is_refused(where: str, rows: Any, path: str) -> None:
    with pytest.raises(ValueError, match=rf"^{path}.* has no citation"):
        build(**{where: rows})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"settings": (*SETTINGS, ("optimizer.rate", 0.1, "§1"))}, r"no setting optimizer\.rate"),
        ({"settings": (*SETTINGS, ("objective.distiller.form", "none", "§1"))}, r"no setting objective\.distiller"),
        ({"settings": (*SETTINGS, ("optimiser.lr", 0.1, "§1"))}, "no setting optimiser"),
        ({"variants": (("optimizer.lr", 0.1, "§1"),)}, "stands before the first"),
        ({"students": (*HEAD, student("a", "b"))}, "student a has 2 cells, 5 columns and 5 sources"),
    ],
)
def test_what_fits_nowhere_is_refused(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**tables)
