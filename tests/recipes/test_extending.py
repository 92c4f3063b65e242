"""The loss and the teacher that docs/extending.md writes: from the page, trained, killed, measured and exported."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from kdzoo.cli.main import main
from kdzoo.data import open_source

from ..planning.staged import write_data, write_teacher

if TYPE_CHECKING:
    from fork_server import ForkServer

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
KILL = Path(__file__).parents[1] / "engine" / "kill_program.py"
SHORT = "--epochs 1 --batch-size 256 --image-size 16 --workers 0 --device cpu"
PLACES = ("step:2", "checkpoint_half_written:1", "step:3", "before_digest:2", "inside_a_log_line:1")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's two files, and weights that a short training of the page's network gave."""
    monkeypatch.chdir(tmp_path)
    named = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    assert list(named) == ["mine.py", "teachers.py"]
    for name, text in named.items():
        Path(name).write_text(text, encoding="utf-8")
    torch.manual_seed(0)
    digits, network = open_source("digits", "train"), nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    images = torch.from_numpy(np.stack([np.asarray(digits.load(index)) for index in range(len(digits))]))
    images, labels = images.permute(0, 3, 1, 2).float() / 255, torch.from_numpy(digits.labels.copy())
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    torch.save(network.state_dict(), "linear.pt")
    return tmp_path


def commands(section: str) -> list[list[str]]:
    (code,) = re.findall(r"```bash\n(.*?)```", PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0], re.DOTALL)
    return [shlex.split(line)[1:] for line in code.splitlines()]


def call(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> str:
    capsys.readouterr()
    short = SHORT.split() if arguments[0] in ("distill", "label") else []
    ended = main([*arguments, *short, *(["--trust-teacher"] if short else [])])
    seen = capsys.readouterr()
    assert ended == code, (arguments, seen.err)
    return seen.out + seen.err


@pytest.mark.slow
def test_the_loss_is_trained_as_the_page_says(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_teacher(files / "runs" / "teacher")
    show, distill, resume = commands("A loss")
    assert "objective.weight" in call(show, capsys)
    call(distill, capsys)
    lines = [json.loads(line) for line in Path("runs/student/metrics.jsonl").read_text().splitlines()]
    assert all(line["squares"] > 0 for line in lines if line["kind"] == "train")
    call(resume, capsys)
    unnamed = [word for word in resume if word not in ("--recipe", "mine.py")]
    assert "name it only" in call(unnamed, capsys, code=2)
    Path("mine.py").write_text(Path("mine.py").read_text() + "# changed\n")
    said = call(resume, capsys, code=1)
    assert "error: the run in runs/student had other settings: recipe.sha256 was '" in said


@pytest.mark.slow
def test_the_teacher_is_learnt_from_and_the_files_are_not_needed_later(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distill, label, evaluate, export = commands("A teacher")
    assert "teacher teachers.py:linear: top-1" in call(distill, capsys)
    call(label, capsys)
    stored = ["distill", "--student", "cifar_resnet8", "--labels", "labels", "--data", "digits", "--out", "runs/stored"]
    call(stored, capsys)
    for name in ("mine.py", "teachers.py", "linear.pt"):
        Path(name).unlink()
    assert "runs/own" in call(evaluate, capsys)
    call(export, capsys)
    assert Path("own.pt2").stat().st_size > 0
    call(["report", "runs/own", "runs/stored", "--data", "digits", "--out", "page"], capsys)
    call(["publish", "runs/own", "--repo", "org/a", "--dry-run", "--license", "mit", "--out", "card"], capsys)
    assert "squares" in Path("card/README.md").read_text()
    open_source("digits", "val").load(0).save("digit.png")
    call(["predict", "runs/own", "digit.png", "--out", "answers.csv"], capsys)
    again = ["distill", *distill[1:], "--resume"]
    assert "mine.py cannot be read" in call(again, capsys, code=2)


@pytest.mark.slow
@pytest.mark.numeric
def test_kills_change_nothing(files: Path, fork_server: ForkServer) -> None:
    given = {
        "student.model": "cifar_resnet8",
        "teachers.models": [f"{files / 'teachers.py'}:linear"],
        "data.dataset": str(write_data(files / "data")),
        "data.augmentation.image_size": 16,
        "training.epochs": 3,
        "training.batch_size": 16,
        "training.log_every_steps": 1,
        "training.checkpoint_every_steps": 2,
        "run.workers": 0,
        "run.device": "cpu",
    }
    plan = files / "plan.json"
    plan.write_text(json.dumps({"recipe": str(files / "mine.py"), "variants": [], "given": given}))
    whole = fork_server.run(KILL, files / "whole", 0, f"--plan={plan}").stdout.splitlines()
    killed = fork_server.run(KILL, files / "killed", 0, *PLACES, f"--plan={plan}").stdout.splitlines()
    assert (whole, killed) == (["end exit 0"], [*(f"{place} signal 9" for place in PLACES), "end exit 0"])
    ends = []
    for out in (files / "whole", files / "killed"):
        last = max((out / "checkpoints").glob("step-*.safetensors"))
        ends.append([path.read_bytes() for path in (last, out / "model/model.safetensors", out / "metrics.jsonl")])
    assert ends[0] == ends[1]
