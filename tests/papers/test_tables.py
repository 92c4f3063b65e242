"""The papers' tables: every row names things that exist, and the numbers are those of the papers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.papers.tables import (
    PAPERS,
    Evaluate,
    Network,
    PaperTables,
    RecipeRun,
    Row,
    Table,
    Transfer,
    get_paper,
    get_table,
)
from kdzoo.recipes import get_recipe, recipe_names
from kdzoo.recipes.overrides import typed
from kdzoo.zoo import parse_reference

TABLES = [(paper, table) for paper in PAPERS.values() for table in paper.tables]
IDS = [f"{paper.key}-{table.number}" for paper, table in TABLES]

# Typed from the papers' text, apart from the modules: paper, table, row (from 1), and what the line says.
LINES = """
meal_v2 1  1 | 90 92 58 80 76.15
meal_v2 1  2 | 94 92 66 92 80.67
meal_v2 3  1 | 224 25.6 76.15 92.86
meal_v2 3  2 | 224 25.6 78.13 94.02
meal_v2 3  3 | 224 25.6 78.35 94.15
meal_v2 3  4 | 224 25.6 78.21 94.01
meal_v2 3  5 | 224 25.6 80.67 95.09
meal_v2 3  6 | 384 25.6 79.0 94.6
meal_v2 3  8 | 380 25.6 81.72 95.81
meal_v2 3 10 | 320 25.6 79.8 94.9
meal_v2 3 11 | 224 25.6 80.98 95.35
meal_v2 4  1 | 224 2.04 65.40
meal_v2 4  2 | 224 2.04 67.60 87.23
meal_v2 4  4 | 224 2.54 69.65 88.71
meal_v2 4  6 | 224 5.48 76.92 93.32
meal_v2 4  8 | 224 5.29 78.29 93.95
meal_v2 6.3 1 | 77.07
meal_v2 6.3 2 | 79.48
meal_v2 6.3 3 | 80.67
meal_v2 6.3 4 | 78.29
meal_v2 6.3 5 | 78.23
meal_v2 5  1 | 73.31 91.42 71.17 90.13 2.14 1.39
meal_v2 5  4 | 76.85 93.60 68.28 88.21 8.57 5.39
meal_v2 5  6 | 82.67 96.13 80.67 95.09 2.00 1.04
meal_v2 5 11 | 80.86 95.35 80.98 95.35 -0.13 0.00
meal_v2 6  1 | 72.20 58.90 66.97 94.71
meal_v2 6  3 | 95.10 83.70 75.55 97.26
meal_v2 6  5 | 90.80 68.29 53.56 84.16
meal_v2 7  2 | 37.501 56.829 40.148 21.483 41.264 48.655
meal_v2 7  3 | 37.253 56.636 39.912 22.143 41.567 47.322
ssld 1  1 | 76.5
ssld 1  7 | 79.1
ssld 1 11 | 82.2
ssld 1 12 | 83.0
ssld 1 13 | 84.0
ssld 2  1 | 70.9
ssld 2  2 | 77.9
ssld 2  8 | 79.0
ssld 2 12 | 84.8
ssld 2 18 | 85.0
ssld 3  1 | 79.1 76.8
ssld 3  4 | 85.0 78.4
ssld 4  1 | 76.98 77.58
ssld 4  6 | 78.56 79.01
ssld 5  2 | 77.40 77.95
ssld 6  1 | 77.71 78.06
ssld 6  4 | 77.92 78.38
ssld 7  1 | 88.98 90.00
ssld 7  4 | 64.02 68.36
ssld 8  3 | 33.2 35.3
ssld 9  2 | 74.87 77.03
xcl S1 1 | 77.3 93.6 74.5 65.6 79.4
xcl S1 4 | 79.2 2.4 94.3 75.6 67.3 80.6
xcl S1 5 | 80.0 1.6 95.0 77.2 68.2 81.3
xcl S2 1 | 23.4 81.4 80.2 0.1
xcl S2 5 | 15.1 87.5 83.8 0.1
xcl S3 3 | 54.5 78.0 0.3
xcl S4 4 | 99.2 81.2 0.3
xcl S5 2 | 65.0 83.0 0.1
exrep 1 1 | 240 81.3 95.7
exrep 1 4 | 224 80.2 95.4
exrep 1 9 | 240 79.8 94.5
exrep 2 2 | 80.1 95.1
exrep 2 4 | 77.6 93.5
exrep 2 6 | 79.7 95.1
exrep 3 3 | 224 81.1 95.1
"""
NUM_ROWS = {
    "meal_v2": {"1": 2, "2": 13, "3": 11, "4": 8, "5": 11, "6": 5, "7": 4, "8": 5, "6.3": 5},
    "ssld": {"1": 13, "2": 18, "3": 4, "4": 6, "5": 3, "6": 4, "7": 4, "8": 5, "9": 4},
    "xcl": {"S1": 5, "S2": 5, "S3": 4, "S4": 5, "S5": 5},
    "exrep": {"1": 10, "2": 6, "3": 3},
}
TASKS = {"voc2007", "cub200", "birdsnap", "cifar10", "cifar100", "aircraft", "dtd", "sun397", "coco", "cityscapes"}


def runs_of(row: Row) -> Iterator[RecipeRun]:
    for one in (row.takes, row.small):
        if isinstance(one, RecipeRun):
            yield one


def networks_of(row: Row) -> Iterator[Network]:
    if isinstance(row.small, Network):
        yield row.small
    for run in runs_of(row):
        yield from (run.student, *run.teachers)


def test_every_table_of_the_papers_is_there() -> None:
    assert {key: {t.number: len(t.rows) for t in paper.tables} for key, paper in PAPERS.items()} == NUM_ROWS


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_numbers_are_the_papers(line: str) -> None:
    where, _, printed = line.partition("|")
    paper, number, row = where.split()
    numbers = get_table(PAPERS[paper], number).rows[int(row) - 1].numbers
    found = [value for value in numbers.values() if isinstance(value, int | float)]
    assert found == [float(text) for text in printed.split()]


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_labels_and_columns_are_whole(paper: PaperTables, table: Table) -> None:
    labels = [row.label for row in table.rows]
    assert len({label.lower() for label in labels}) == len(labels)
    keys = {column.key for column in table.columns}
    for row in table.rows:
        assert set(row.numbers) <= keys
        assert set(row.measured) <= keys
        if isinstance(row.takes, Transfer):
            assert set(row.takes.tasks) <= keys
            assert set(row.takes.tasks.values()) <= TASKS


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_recipes_variants_and_settings_exist(paper: PaperTables, table: Table) -> None:
    for row in table.rows:
        for run in runs_of(row):
            assert run.recipe in recipe_names()
            recipe = get_recipe(run.recipe)
            assert set(run.variants) <= {variant.name for variant in recipe.variants}
            typed(recipe, run.settings)  # raises on an unknown setting or a wrong type
            assert bool(run.teachers) == recipe.objective.uses_teachers
        for network in networks_of(row):
            if network.trained is not None:
                supervised = get_recipe("supervised")
                assert set(network.trained.variants) <= {variant.name for variant in supervised.variants}
                typed(supervised, network.trained.settings)


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_models_exist(paper: PaperTables, table: Table) -> None:
    for row in table.rows:
        for network in networks_of(row):
            parse_reference(network.model)
            assert parse_reference(network.small).architecture.startswith("cifar_")
        published = [run.released for run in runs_of(row) if run.released]
        if isinstance(row.takes, Evaluate):
            published.append(row.takes.model)
        if isinstance(row.takes, Transfer):
            published += [name for name in (row.takes.backbone, row.takes.baseline) if name != "random"]
        for name in published:
            reference = parse_reference(name)
            assert reference.kind == "zoo" or reference.tag_written, name
        for run in runs_of(row):
            for network in run.teachers:  # weights, or a way to make them
                reference = parse_reference(network.model)
                has_weights = reference.kind == "zoo" or bool(reference.tag)
                assert has_weights or network.trained is not None or run is row.small, network.model


def test_gaps_are_the_differences_but_for_two_misprints() -> None:
    """The papers' own arithmetic: a second look at three columns at once."""
    wrong = []
    for row in get_table(PAPERS["meal_v2"], "5").rows:
        numbers = {key: float(str(value)) for key, value in row.numbers.items()}
        for k in ("top1", "top5"):
            if abs(numbers[f"teacher_{k}"] - numbers[k] - numbers[f"gap_{k}"]) > 1e-6:
                wrong.append((row.label, k))
    assert wrong == [("CRD", "top5"), ("MEAL V2 + CutMix, teacher T2", "top1")]


def test_label_entropies_follow_from_epsilon() -> None:
    """XCL's Ĥ is the entropy of its Eq. 1 over ln 100, to the printed digit."""
    for row in get_table(PAPERS["xcl"], "S3").rows:
        assert isinstance(row.takes, RecipeRun)
        epsilon = float(str(row.takes.settings["objective.label_smoothing"]))
        entropy = -(1 - epsilon) * math.log(1 - epsilon) - epsilon * math.log(epsilon / 99)
        assert row.numbers["entropy"] == pytest.approx(100 * entropy / math.log(100), abs=0.05)


def test_tables_agree_with_the_recipes_own_numbers() -> None:
    """Each student's published top-1 stands in the recipes, too, typed there by others."""
    wanted = {
        ("meal_v2", "resnet50"): ("meal_v2", "3", "ResNet-50 + MEAL V2"),
        ("meal_v2", "tf_efficientnet_b0"): ("meal_v2", "4", "EfficientNet-B0 + MEAL V2"),
        ("ssld", "mobilenetv2_100"): ("ssld", "2", "MobileNetV2, SSLD"),
        ("ssld", "resnet101d"): ("ssld", "2", "ResNet101-D, SSLD"),
        ("xcl_mix", "resnet50"): ("xcl", "S1", "XCL-Mix"),
        ("xcl_mix", "cifar_resnet18"): ("xcl", "S2", "+ CutMix"),
        ("exrep", "tf_efficientnet_b1"): ("exrep", "1", "EfficientNet-B1 ExRep"),
        ("exrep", "resnext50_32x4d"): ("exrep", "3", "ResNeXt ExRep"),
    }
    for (recipe, student), (paper, number, label) in wanted.items():
        student_row = get_recipe(recipe).student_row(student)
        row = next(row for row in get_table(PAPERS[paper], number).rows if row.label == label)
        assert student_row is not None
        assert row.numbers["top1"] == student_row.top1, label


def test_unknown_names_are_refused_with_the_near_ones() -> None:
    with pytest.raises(UsageError, match="no paper 'mealv2'") as error:
        get_paper("mealv2")
    assert "did you mean 'meal_v2'" in str(error.value.hint)
    with pytest.raises(UsageError, match="xcl has no table '2'") as error:
        get_table(PAPERS["xcl"], "2")
    assert error.value.hint == "did you mean 'S2'? there are S1, S2, S3, S4, S5"
    assert get_table(PAPERS["xcl"], "table s3").number == "S3"
