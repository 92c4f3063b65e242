"""`kdzoo reproduce`, as a user calls it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from kdzoo.cli.main import main
from kdzoo.cli.table_shown import result_lines, result_rows
from kdzoo.cli.transfer import TASKS
from kdzoo.cli.transfer import command as transfer
from kdzoo.engine.distributed import Processes
from kdzoo.papers.needs import transfer_commands
from kdzoo.papers.tables import PAPERS, PaperTables, RecipeRun, Table, Transfer

if TYPE_CHECKING:
    from fork_server import ForkServer

TABLES = [(paper, table) for paper in PAPERS.values() for table in paper.tables]
IDS = [f"{paper.key}-{table.number}" for paper, table in TABLES]
RUN: tuple[str, ...] = ("xcl", "S1", "--scale", "small", "--epochs", "1", "--row", "ERM", "--row", "KD")

Call = Callable[..., tuple[int, str, str]]


def _slow_but_first(paper: PaperTables, table: Table) -> list[pytest.MarkDecorator]:
    """Each paper's first table is looked at always, the others with what is slow."""
    return [] if table is paper.tables[0] else [pytest.mark.slow]


@pytest.fixture
def kdzoo(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(("reproduce", *arguments))
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return call


@pytest.fixture(scope="module", autouse=True)
def _few_images(few_digits: Path) -> None:
    """All runs are on a few images."""
    global RUN
    RUN = (*RUN, "--data", str(few_digits))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows of a table, run for one epoch."""
    out = tmp_path_factory.mktemp("reproduction") / "table"
    assert main(("reproduce", *RUN, "--out", str(out))) == 0
    return out


def stamps(out: Path) -> dict[str, int]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path != out / ".lock")
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in files}


def test_papers_and_tables_are_listed(kdzoo: Call) -> None:
    code, out, _ = kdzoo("--json")
    rows = json.loads(out)
    assert code == 0
    assert [(row["paper"], row["table"]) for row in rows] == [(paper.key, table.number) for paper, table in TABLES]
    assert {row["paper"] for row in json.loads(kdzoo("ssld", "--json")[1])} == {"ssld"}
    assert "main paper's text was not available" in kdzoo("xcl")[1]


@pytest.mark.parametrize(
    ("paper", "table"),
    [pytest.param(*one, id=name, marks=_slow_but_first(*one)) for one, name in zip(TABLES, IDS, strict=True)],
)
def test_every_table_has_a_dry_run_where_nothing_is_installed(
    paper: PaperTables, table: Table, kdzoo: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for scale in ("full", "small"):
        code, out, err = kdzoo(paper.key, table.number, "--dry-run", "--scale", scale, "--json")
        document = json.loads(out)
        assert (code, err) == (0 if document["starts"] else 1, "")
        assert document["starts"] or scale == "full"
        rows = document["rows"]
        assert [row["label"] for row in rows] == [row.label for row in table.rows]
        for needs, row in zip(rows, table.rows, strict=True):
            if isinstance(row.takes, RecipeRun) and scale == "full":
                assert needs["steps"] > 10_000
                assert needs["flops"] > 1e15
                assert needs["disk_bytes"] > 1e6
                assert any("not found" in text for text in needs["missing"])
            if row.takes.kind == "transfer" and scale == "full":
                assert all(command.startswith("kdzoo transfer ") for command in needs["commands"])
            if scale == "small":
                assert needs["missing"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_is_trained_first_and_what_is_missing(kdzoo: Call) -> None:
    code, out, _ = kdzoo("xcl", "S2", "--dry-run", "--row", "4", "--row", "5")
    assert code == 1
    assert out.startswith("cannot start: ")
    assert "together: 18 training runs" in out
    assert (
        "trained first, row 5: 8 × cifar_pyramidnet200_a240 by supervised + cifar_pyramidnet + cutmix, 300 epochs"
        in out
    )
    assert "missing, all rows: cifar100 not found" in out


def test_paper_and_ours_stand_beside_each_other(finished: Path, kdzoo: Call) -> None:
    document = json.loads((finished / "results.json").read_text())
    rows = {row["label"]: row for row in document["rows"]}
    assert {label for label, row in rows.items() if row["status"] == "done"} == {"ERM", "KD"}
    assert {row["status"] for label, row in rows.items() if label not in ("ERM", "KD")} == {"left out"}
    kd = rows["KD"]
    run = json.loads((finished / kd["runs"][0] / "result.json").read_text())
    teacher = json.loads((finished / "teachers" / "cifar_resnet14-cutmix-1" / "result.json").read_text())
    assert kd["ours"]["top1"] == run["top1"]
    assert kd["ours"]["gap"] == pytest.approx(teacher["top1"] - run["top1"])
    assert kd["difference"]["top5"] == pytest.approx(run["top5"] - 94.3)
    assert "1 epoch for 300" in kd["scaled_down"]
    assert "teachers cifar_resnet14, for resnet152d" in kd["scaled_down"]
    assert "gap" not in rows["ERM"]["ours"]
    code, out, _ = kdzoo("xcl", "S1", "--out", str(finished))
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("KD"))
    assert "79.2" in line
    assert f"{kd['ours']['top1']:.2f}" in line
    assert "only the order of the rows may be looked at, never the accuracies; one seed a row" in out
    assert "of 1 pairs of rows stand in the paper's order" in out


def test_training_is_on_the_device_that_was_asked_for(
    kdzoo: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdzoo.planning import run

    start, asked = run.start_processes, []

    def recorded(device: str = "auto") -> Processes:
        asked.append(device)
        return start(device)

    monkeypatch.setattr(run, "start_processes", recorded)
    arguments = ("xcl", "S1", "--scale", "small", "--epochs", "1", "--row", "ERM", "--data", RUN[-1], "--device", "cpu")
    assert kdzoo(*arguments, "--out", str(tmp_path / "table"))[0] == 0
    assert asked == ["cpu"]


def test_a_second_call_runs_nothing(finished: Path, kdzoo: Call) -> None:
    before = stamps(finished)
    first, second = kdzoo(*RUN, "--out", str(finished)), kdzoo(*RUN, "--out", str(finished))
    assert first == second
    assert first[0] == 0
    assert kdzoo(*RUN, "--out", str(finished), "--resume")[0] == 0
    after = stamps(finished)
    assert {name for name in before if before[name] != after[name]} <= {"results.json"}


def test_a_folder_that_another_one_works_in_is_left_alone(
    finished: Path, kdzoo: Call, fork_server: ForkServer, tmp_path: Path
) -> None:
    program = tmp_path / "hold.py"
    program.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom kdzoo.base.holding import hold_folder\n"
        "with hold_folder(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    other = fork_server.start(program, finished)
    other.readline()
    before = stamps(finished)
    code, _, err = kdzoo(*RUN, "--out", str(finished), "--resume")
    assert (code, "is in use by another process" in err) == (1, True)
    assert kdzoo(*RUN, "--out", str(finished))[0] == 0  # what is finished is shown meanwhile
    assert stamps(finished) == before
    os.kill(other.pids[0], signal.SIGKILL)
    other.wait(check=False)
    assert kdzoo(*RUN, "--out", str(finished), "--resume")[0] == 0


def test_it_goes_on_where_it_was_killed(finished: Path, kdzoo: Call, tmp_path: Path) -> None:
    """One row's run is gone, its line says that it was begun: only that run is made again, to the same end."""
    out = tmp_path / "killed"
    shutil.copytree(finished, out)
    document = json.loads((out / "results.json").read_text())
    erm = next(row for row in document["rows"] if row["label"] == "ERM")
    ours = dict(erm["ours"])
    erm.update(status="pending", ours={}, difference={}, scaled_down=[])
    (out / "results.json").write_text(json.dumps(document))
    shutil.rmtree(out / "erm")
    before = stamps(out)
    code, _, err = kdzoo(*RUN, "--out", str(out))
    assert code == 1
    assert "unfinished (1 row to go)" in err
    assert "--resume goes on" in err
    assert kdzoo(*RUN, "--out", str(out), "--resume")[0] == 0
    after = stamps(out)
    assert {name for name in before if before[name] != after[name]} == {"results.json"}
    again = json.loads((out / "results.json").read_text())
    assert next(row for row in again["rows"] if row["label"] == "ERM")["ours"] == ours


def test_lost_results_are_made_again_from_the_runs(finished: Path, kdzoo: Call, tmp_path: Path) -> None:
    out = tmp_path / "lost"
    shutil.copytree(finished, out)
    (out / "results.json").write_text('{"paper": "xcl"')
    code, _, err = kdzoo(*RUN, "--out", str(out), "--resume")
    assert code == 1
    assert f"{out}/results.json cannot be read" in err.replace("\n", " ")
    assert "remove it and give the same command with --resume" in err
    (out / "results.json").unlink()
    before = stamps(out)
    assert "is not empty and holds no reproduction" in kdzoo(*RUN, "--out", str(out))[2]
    assert kdzoo(*RUN, "--out", str(out), "--resume")[0] == 0
    assert {name for name, stamp in stamps(out).items() if before.get(name) != stamp} == {"results.json"}
    was, now = (json.loads((folder / "results.json").read_text())["rows"] for folder in (finished, out))
    assert was == now


@pytest.mark.parametrize("begun", [False, True])
def test_runs_of_other_settings_are_not_taken_for_these(
    begun: bool, finished: Path, kdzoo: Call, tmp_path: Path
) -> None:
    """Without results.json the runs themselves say what they were made with; finished ones, and ones only begun."""
    out = tmp_path / "lost"
    shutil.copytree(finished, out)
    (out / "results.json").unlink()
    if begun:
        for result in out.rglob("result.json"):
            result.unlink()
    before = stamps(out)
    code, shown, err = kdzoo(*RUN, "--epochs", "4", "--out", str(out), "--resume")
    assert (code, shown) == (1, "")
    assert "had other settings: " in err
    assert "training.epochs was 1, is 4" in err
    assert "Traceback" not in err
    assert stamps(out) == before  # no results.json that would refuse the right settings afterwards


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("student.model", "cifar_resnet14", "cifar_resnet8"),
        ("teachers.models", ["runs/other"], "teachers/cifar_resnet14-cutmix-1"),
    ],
)
def test_a_run_of_other_networks_is_refused(
    name: str, was: object, now: str, finished: Path, kdzoo: Call, tmp_path: Path
) -> None:
    out = tmp_path / "lost"
    shutil.copytree(finished, out)
    (out / "results.json").unlink()
    config = out / "kd" / "seed-0" / "config.json"
    document = json.loads(config.read_text())
    document["fixed"][name] = was
    config.write_text(json.dumps(document))
    code, _, err = kdzoo(*RUN, "--out", str(out), "--resume")
    assert code == 1
    assert f"{name} was {was!r}, is " in err
    assert now in err


@pytest.mark.parametrize(
    "text", ['{"choices": {"scale": "small"}}', "[]", '{"paper": 3}', "\x00", '{"paper": "xcl", "table": "S1"}']
)
def test_damaged_results_are_one_clear_line(text: str, kdzoo: Call, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text(text)
    code, _, err = kdzoo("xcl", "S1", "--out", str(tmp_path / "out"))
    assert code == 1
    assert "results.json cannot be read" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("meal", "3"), 2, "no paper 'meal'"),
        (("meal_v2", "9"), 2, "there are 1, 2, 3, 4, 5, 6, 7, 8"),
        (("meal_v2", "3", "--row", "ResNet-51"), 2, "did you mean 'ResNet-50'?"),
        (("meal_v2", "3", "--row", "0"), 2, "has no row '0'"),
        (("meal_v2", "3", "--scale", "small", "--data", "nowhere", "--out", "x"), 1, "nowhere"),
        (("meal_v2", "3", "--scale", "small", "--student", "resnet_8", "--out", "x"), 1, "resnet_8"),
        (("meal_v2", "3", "--scale", "small", "--released", "--out", "x"), 2, "not of a small size"),
        (("meal_v2", "3", "--measure"), 2, "--dry-run"),
        (("meal_v2", "3", "--seeds", "0"), 2, "0"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], code: int, said: str, kdzoo: Call, tmp_path: Path
) -> None:
    found, out, err = kdzoo(*arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_missing_data_is_listed_and_the_rest_goes_on(kdzoo: Call, tmp_path: Path) -> None:
    code, out, err = kdzoo("meal_v2", "3", "--out", str(tmp_path / "table"), "--json")
    assert (code, "Traceback" in err) == (0, False)
    rows = {row["label"]: row for row in json.loads(out)["rows"]}
    assert rows["ResNet-50 + MEAL V2"]["status"] == "missing"
    assert "imagenet not found" in rows["ResNet-50 + MEAL V2"]["why"]
    assert rows["ResNet-50"]["status"] == "missing"
    assert rows["ResNet-50 + DropBlock (kp=0.9)"]["status"] == "reference"
    assert sorted(path.name for path in (tmp_path / "table").iterdir()) == [".lock", "results.json"]


def test_transfer_rows_name_their_commands(kdzoo: Call, tmp_path: Path) -> None:
    code, out, _ = kdzoo("meal_v2", "6", "--out", str(tmp_path / "table"))
    assert code == 0
    command = "kdzoo transfer cub200 --backbone meal_v2_resnet50 --baseline resnet50.tv_in1k --mode linear"
    assert f"Freeze backbone, ours: run with: {command.replace('cub200', 'voc2007')}; {command}" in out


def test_the_commands_for_transfer_are_ones_that_the_verb_takes() -> None:
    """Each is parsed by the verb's own command; nothing is run."""
    takes = [row.takes for _, table in TABLES for row in table.rows if isinstance(row.takes, Transfer)]
    commands = {command for one in takes for command in transfer_commands(one)}
    assert len(commands) > 20
    for command in sorted(commands):
        _, verb, task, *arguments = shlex.split(command)
        assert verb == "transfer"
        with click.Context(transfer) as ctx:
            assert task in TASKS
            found = transfer.get_command(ctx, task)
            assert found is not None
            found.make_context(task, arguments, parent=ctx)  # raises on an option that is not there


def test_another_table_or_other_choices_are_refused(finished: Path, kdzoo: Call) -> None:
    before = (finished / "results.json").read_text()
    code, _, err = kdzoo("xcl", "S2", "--out", str(finished))
    assert code == 1
    assert "holds xcl table S1" in err
    for changed in (("--epochs", "2"), ("--seeds", "2"), ("--scale", "full")):
        code, _, err = kdzoo("xcl", "S1", *changed, "--resume", "--out", str(finished))
        assert code == 1
        assert "was made otherwise" in err
    assert (finished / "results.json").read_text() == before


def test_a_folder_that_cannot_be_written_is_refused(kdzoo: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = kdzoo(*RUN, "--out", str(tmp_path / "file"))
    assert code == 1
    assert "is not a folder" in err
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write anywhere")
    code, _, err = kdzoo(*RUN, "--out", str(locked / "table"))
    assert code == 1
    assert "cannot be written" in err


def test_order_and_spread_are_counted() -> None:
    """Against numbers made by hand: three rows, one of them out of the paper's order."""
    columns = [{"key": "top1", "heading": "Top-1", "unit": "%", "better": "higher", "measured": "top1"}]
    rows = [
        {
            "label": label,
            "status": "done",
            "paper": {"top1": paper},
            "ours": {"top1": ours},
            "spread": {"top1": 1.5},
            "scaled_down": ["8 epochs for 180", extra] if extra else ["8 epochs for 180"],
        }
        for label, paper, ours, extra in (
            ("a", 70.0, 50.0, ""),
            ("b", 80.0, 60.0, "32 px for 224"),
            ("c", 75.0, 65.0, ""),
        )
    ]
    document = {"choices": {"scale": "small", "seeds": 3}, "columns": columns, "rows": rows}
    cells, headings = result_rows(document)
    assert [row["order"] for row in cells] == ["3 / 3", "1 / 2", "2 / 1"]
    assert [row["top1 ours"] for row in cells] == ["50.00 ± 1.50", "60.00 ± 1.50", "65.00 ± 1.50"]
    assert "top1 difference" not in headings
    lines = result_lines(document)
    assert lines[0].endswith("3 seeds a row; 2 of 3 pairs of rows stand in the paper's order (Top-1)")
    assert lines[1:] == ["scaled down, all rows: 8 epochs for 180", "scaled down, b: 32 px for 224"]
