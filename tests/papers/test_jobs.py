"""From rows to runs: what is shared, what differs, how long they are."""

from __future__ import annotations

import pytest

from kdzoo.papers.choices import Choices
from kdzoo.papers.jobs import Job, Jobs, slug
from kdzoo.papers.scaled import scaled_down
from kdzoo.papers.tables import PAPERS, PaperTables, Row, Table, get_table

TABLES = [(paper, table) for paper in PAPERS.values() for table in paper.tables]
IDS = [f"{paper.key}-{table.number}" for paper, table in TABLES]
SMALL = Choices(scale="small")


def row_of(paper: str, table: str, label: str) -> tuple[Table, Row]:
    found = get_table(PAPERS[paper], table)
    return found, next(row for row in found.rows if row.label == label)


def only(jobs: tuple[Job, ...]) -> Job:
    (job,) = jobs
    return job


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_folders_of_other_runs_differ(paper: PaperTables, table: Table) -> None:
    assert len({slug(row.label) for row in table.rows}) == len(table.rows)
    for choices in (Choices(), Choices(scale="small", seeds=2)):
        jobs = Jobs(table, choices)
        found = {one for row in table.rows for job in jobs.of(row) for one in (*job.first(), job)}
        assert len({job.folder for job in found}) == len(found)


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_every_small_row_resolves_to_a_tiny_network(paper: PaperTables, table: Table) -> None:
    """A recipe's name, variants and settings go together, and nothing of the paper's size is left."""
    jobs = Jobs(table, SMALL)
    for row in table.rows:
        for job in jobs.of(row):
            for one in (*job.first(), job):
                plan = one.plan(None)
                assert plan.facts.num_images == 1437
                assert plan.facts.missing is None
                assert plan.student.startswith("cifar_")
                assert all(teacher.startswith("cifar_") for teacher in plan.teachers)
                assert plan.recipe.training.epochs <= 9
                assert plan.image_size <= 56


def test_teachers_are_shared_and_alike_ones_have_seeds_of_their_own() -> None:
    table = get_table(PAPERS["xcl"], "S4")
    jobs = Jobs(table, SMALL)
    first, second = (only(jobs.of(row)) for row in table.rows[:2])
    assert first.teachers == second.teachers
    assert [one.seed for one in first.teachers if isinstance(one, Job)] == [1000, 2000]
    full = only(Jobs(table, Choices()).of(table.rows[0]))
    assert len(full.teachers) == 8
    assert len(set(full.teachers)) == 8


def test_seeds_change_students_alone() -> None:
    table, row = row_of("exrep", "2", "w input distiller (KD+CRD+Adv), B0")
    first, second = Jobs(table, Choices(scale="small", seeds=2, seed=3)).of(row)
    assert (first.seed, second.seed) == (3, 4)
    assert first.teachers == second.teachers
    assert first.student != second.student  # each goes on with its own trained student


def test_a_baseline_row_is_the_run_that_the_others_start_from() -> None:
    table, row = row_of("meal_v2", "3", "ResNet-50")
    _, distilled = row_of("meal_v2", "3", "ResNet-50 + MEAL V2")
    jobs = Jobs(table, SMALL)
    assert only(jobs.of(row)) == only(jobs.of(distilled)).student


def test_rows_of_another_length_keep_their_proportion() -> None:
    table = get_table(PAPERS["ssld"], "4")
    jobs = Jobs(table, Choices(scale="small", epochs=36))
    plans = [only(jobs.of(row)).plan(None) for row in table.rows]
    lengths = [[stage.recipe.training.epochs for stage in plan.stages] for plan in plans]
    assert lengths == [[5, 3], [10, 3], [20, 3], [30, 3], [36, 3], [40, 3]]


def test_rows_keep_what_they_are_about() -> None:
    table = get_table(PAPERS["ssld"], "5")
    decays = [only(Jobs(table, SMALL).of(row)).plan(None).recipe.optimizer.weight_decay for row in table.rows]
    assert decays == [3e-5, 2e-5, 1e-5]
    table = get_table(PAPERS["xcl"], "S1")
    mixing = [only(Jobs(table, SMALL).of(row)).plan(None).recipe.data.mixing for row in table.rows]
    assert [(one.mixup_prob, one.cutmix_prob) for one in mixing] == [(0, 0), (1, 0), (0, 1), (0, 0), (0.5, 0.5)]


def test_rows_see_the_same_views() -> None:
    """Of what a view is drawn from, only what a row is about may differ."""
    for paper, number in (("xcl", "S1"), ("exrep", "2"), ("ssld", "4")):
        table = get_table(PAPERS[paper], number)
        views = {only(Jobs(table, SMALL).of(row)).plan(None).recipe.data.augmentation for row in table.rows}
        assert len({(one.crop, one.hflip_prob, one.policy, one.color_jitter, one.erase_prob) for one in views}) == 1


def test_what_was_scaled_down_is_said() -> None:
    table, row = row_of("meal_v2", "3", "ResNet-50 + MEAL V2")
    job = only(Jobs(table, SMALL).of(row))
    words = scaled_down(row.takes, job, SMALL)  # type: ignore[arg-type]
    assert "digits (1,437 images, 10 classes) for imagenet" in words
    assert "8 epochs for 180" in words
    assert "student cifar_resnet8, trained on labels first, for resnet50" in words
    assert "teachers cifar_resnet14, cifar_wrn_16_1, for senet154.gluon_in1k, resnet152s.gluon_in1k" in words
    assert "batches of 64 for 512" in words
    full = Choices()
    assert scaled_down(row.takes, only(Jobs(table, full).of(row)), full) == ()  # type: ignore[arg-type]
    fewer = Choices(epochs=18, data="imagenet:/elsewhere")
    assert scaled_down(row.takes, only(Jobs(table, fewer).of(row)), fewer) == ("18 epochs for 180",)  # type: ignore[arg-type]


def test_a_student_of_ones_own_replaces_every_rows() -> None:
    table = get_table(PAPERS["meal_v2"], "4")
    jobs = Jobs(table, Choices(scale="small", student="cifar_resnet14"))
    found = [only(jobs.of(row)).plan(None).student for row in table.rows]
    assert set(found) == {"cifar_resnet14"}
