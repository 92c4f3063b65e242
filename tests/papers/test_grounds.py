"""What a row rests on: exact, inferred, missing, on one line of at most 80 characters."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kdzoo.cli.reproduce import command
from kdzoo.papers.choices import Choices
from kdzoo.papers.grounds import Grounds, grounds_of
from kdzoo.papers.jobs import Jobs
from kdzoo.papers.needs import needs_of
from kdzoo.papers.tables import PAPERS, PaperTables, RecipeRun, Row, Table, get_table

TABLES = [(paper, table) for paper in PAPERS.values() for table in paper.tables]
IDS = [f"{paper.key}-{table.number}" for paper, table in TABLES]


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)


def grounds(paper: str, number: str, label: str) -> Grounds:
    table = get_table(PAPERS[paper], number)
    row = next(row for row in table.rows if row.label == label)
    (job,) = Jobs(table, Choices()).of(row)
    return grounds_of(job.plan(None), ())


def test_what_no_source_says_is_named() -> None:
    erm = grounds("xcl", "S1", "ERM")
    assert {"init", "interpolation", "precision"} <= set(erm.inferred)
    assert "lr" not in erm.inferred
    assert "mixup_alpha" not in erm.inferred  # of no effect here
    mixed = grounds("xcl", "S1", "XCL-Mix")
    assert {"mixup_prob", "cutmix_prob"} <= set(mixed.inferred)


def test_a_published_configuration_leaves_nothing_to_infer() -> None:
    plain, smooth = (grounds("ssld", "1", label) for label in ("ResNet50", "ResNet50 + cutmix + label-smooth"))
    assert plain.inferred == ()
    assert plain.exact > 30
    assert smooth.inferred == ("label_smoothing",)


def test_a_stages_own_guess_names_the_stage() -> None:
    assert "fixres.lr" in grounds("ssld", "1", "SSLD (ResNet50-D + ResFix)").inferred


@pytest.mark.parametrize(("paper", "table"), TABLES, ids=IDS)
def test_every_line_fits(paper: PaperTables, table: Table) -> None:
    jobs = Jobs(table, Choices())
    for row in table.rows:
        if isinstance(row.takes, RecipeRun):
            (job,) = jobs.of(row)
            line = grounds_of(job.plan(None), ("data", "10 weights", "unlabeled images")).line(76)
        else:
            line = needs_of(row, jobs).grounds.line(76)
        assert 0 < len(line) <= 76
        assert isinstance(row, Row)


def test_what_does_not_fit_is_counted() -> None:
    names = tuple(f"setting_{number}" for number in range(20))
    line = Grounds(12, names, ("data",)).line(60)
    assert line.startswith("12 exact; 20 inferred: setting_0")
    assert line.endswith("; missing: data")
    assert "+" in line
    assert len(line) <= 60


def test_the_dry_run_prints_a_line_a_row() -> None:
    result = CliRunner().invoke(command, ["exrep", "3", "--dry-run"])
    assert result.exit_code == 1, "its data is missing"
    lines = result.output.split("rests on, row by row:\n")[1].splitlines()[:3]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert "published weights" in lines[0]
    assert "exact" in lines[2]
    assert all(len(line) <= 80 for line in lines)
