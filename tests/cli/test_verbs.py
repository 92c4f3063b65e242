"""The verbs that do the work, on the embedded digits: what they print, keep and refuse."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from kdzoo.cli.eval import _specs
from kdzoo.cli.main import main
from kdzoo.cli.start import resume_command

SHORT = (
    *("--data", "digits", "--epochs", "1", "--batch-size", "128", "--image-size", "16"),
    *("--workers", "0", "--device", "cpu"),
)
TRAIN = ("train", "--model", "cifar_resnet8", *SHORT)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, made by the command itself."""
    out, printed = tmp_path_factory.mktemp("runs") / "teacher", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*TRAIN, "--out", str(out), "--json"]) == 0
    (out.parent / "printed.json").write_text(printed.getvalue())
    return out


def test_train_ends_with_one_document_and_a_run_folder(teacher: Path) -> None:
    document = json.loads((teacher.parent / "printed.json").read_text())
    assert {"run", "model", "top1", "top5", "epochs", "images_per_s"} <= document.keys()
    assert (document["run"], document["epochs"]) == (str(teacher), 1)
    assert document == json.loads((teacher / "result.json").read_text())
    for name in ("config.json", "environment.json", "metrics.jsonl", "metrics.csv", "report.html"):
        assert (teacher / name).is_file()
    settings = json.loads((teacher / "config.json").read_text())["settings"]
    assert settings["training.batch_size"] == {"value": 128, "source": "--batch-size"}


def test_a_taken_folder_is_refused_and_resumed_when_asked(kdzoo, teacher: Path) -> None:
    refused = kdzoo(*TRAIN, "--out", str(teacher))
    assert (refused.code, refused.out) == (1, "")
    assert "already holds a run" in refused.err
    assert "--resume" in refused.err.splitlines()[-1]
    resumed = kdzoo(*TRAIN, "--out", str(teacher), "--resume", "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out)["top1"] == json.loads((teacher / "result.json").read_text())["top1"]
    changed = kdzoo(*TRAIN, "--set", "optimizer.lr=0.3", "--out", str(teacher), "--resume")
    assert (changed.code, changed.out) == (1, "")
    assert re.search(r"optimizer\.lr was [0-9.]+, is 0\.3", changed.err)


@pytest.mark.numeric
def test_distill_and_eval(kdzoo, teacher: Path) -> None:
    call = ("distill", "--recipe", "meal_v2", "--student", "cifar_resnet8", *SHORT)
    made = kdzoo(*call, "--teacher", str(teacher), "--trust-teacher", "--out", "student", "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert document["run"] == "student"
    assert "teacher" in made.err

    one = kdzoo("eval", "student", "--on", "digits", "--workers", "0", "--json")
    assert one.code == 0, one.err
    seen = json.loads(one.out)
    assert seen["model"] == "student"
    (result,) = seen["results"]
    assert (result["dataset"], result["num_images"]) == ("digits", 360)
    one_image = 100 / 360 + 1e-6  # other batches may round a tie between two classes otherwise
    assert result["top1"] == pytest.approx(document["top1"], abs=one_image)
    assert result["top5"] == pytest.approx(document["top5"], abs=one_image)

    both = kdzoo("eval", "student", str(teacher), "--on", "digits", "--workers", "0", "--format", "json")
    assert [row["model"] for row in json.loads(both.out)] == ["student", str(teacher)]
    both = kdzoo("eval", "student", str(teacher), "--on", "digits", "--workers", "0", "--json")
    assert [row["model"] for row in json.loads(both.out)["models"]] == ["student", str(teacher)]
    smaller = kdzoo("eval", "student", "--on", "digits", "--workers", "0", "--image-size", "12", "--json")
    assert json.loads(smaller.out)["results"][0]["image_size"] == 12


def test_eval_refuses_other_classes(kdzoo, teacher: Path, tmp_path: Path) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / "pets" / split / name / "a.png")
    seen = kdzoo("eval", str(teacher), "--on", "pets", "--workers", "0")
    assert (seen.code, seen.out) == (1, "")
    assert "10 classes" in seen.err
    assert "has 2" in seen.err


def test_the_right_verb_for_a_recipe(kdzoo) -> None:
    seen = kdzoo("train", "--model", "cifar_resnet8", "--recipe", "meal_v2", "--data", "digits")
    assert (seen.code, seen.err.splitlines()[0]) == (2, "error: recipe meal_v2 learns from teachers")
    seen = kdzoo("distill", "--recipe", "supervised", "--data", "digits")
    assert (seen.code, seen.err.splitlines()[0]) == (2, "error: recipe supervised uses no teachers")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "optimizer.lrr=1"], 2, ["no setting 'optimizer.lrr'", "did you mean 'optimizer.lr'?"]),
        (["--set", "optimizer.lr=fast"], 2, ["optimizer.lr is a number above 0 and at most 10,000, got 'fast'"]),
        (["--set", "optimizer.lr"], 2, ["--set takes KEY=VALUE"]),
        (["--recipe", "supervise"], 2, ["no recipe 'supervise'", "did you mean 'supervised'?"]),
        (["--variant", "cutmx"], 2, ["cutmix"]),
        (["--data", "digit"], 1, ["did you mean 'digits'?"]),
        (["--data", "imagenet"], 1, ["imagenet not found", "KDZOO_DATA"]),
        (["--model", "cifar_resnet9"], 1, ["cifar_resnet9"]),
        (["--device", "cuda:99"], None, ["cuda:99"]),
        (["--out", "/proc/nowhere"], 1, ["/proc/nowhere"]),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_made(kdzoo, arguments, code, words) -> None:
    seen = kdzoo(*TRAIN, *arguments)
    assert seen.code == code if code is not None else seen.code in (1, 2)
    assert seen.out == ""
    lines = [line for line in seen.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    for word in words:
        assert word in " ".join(lines)
    assert "bug in kdzoo" not in seen.err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_dry_run_of_a_papers_run_says_what_it_takes(kdzoo) -> None:
    seen = kdzoo("distill", "--recipe", "hinton_kd", "--dry-run", "--set", "optimizer.weight_decay=0.001")
    assert seen.code == 1, "its data is missing"
    assert seen.out.startswith("cannot start: cifar100 not found")
    for word in ("cifar_resnet8x4", "cifar_resnet32x4", "240 epochs", "multiply-adds", "it would take"):
        assert word in seen.out
    assert max(map(len, seen.out.splitlines())) <= 80
    settings = [line for line in seen.out.splitlines() if line.startswith("optimizer.")]
    assert [line.split() for line in settings] == [["optimizer.weight_decay", "0.001", "--set"]]
    shown = kdzoo("distill", "--recipe", "hinton_kd", "--dry-run", "--all").out
    rows = [line.split() for line in shown.splitlines() if line.startswith("optimizer.lr ")]
    assert rows[0][1:3] == ["0.05", "hinton_kd:"]


def test_a_dry_run_says_first_whether_the_run_starts(kdzoo, teacher: Path) -> None:
    call = ("distill", "--recipe", "meal_v2", "--student", "cifar_resnet8", *SHORT, "--teacher", str(teacher))
    starts = kdzoo(*call, "--out", "student", "--dry-run")
    assert starts.code == 0, starts.out
    first = " ".join(starts.out.split("\n\n")[0].split())
    assert first.startswith("starts: about 0:")
    for word in ("of memory (", "are free)", "of disk"):
        assert word in first
    document = json.loads(kdzoo(*call, "--out", "student", "--dry-run", "--json").out)
    assert (document["starts"], document["obstacles"]) == (True, [])
    assert len(document["settings"]) > 70
    assert document["cost"]["memory"]["fits"] is True
    taken = kdzoo(*TRAIN, "--out", str(teacher), "--dry-run")
    assert taken.code == 1
    assert "already holds a run" in " ".join(taken.out.split())
    assert kdzoo(*TRAIN, "--out", str(teacher), "--resume", "--dry-run").code == 0


def test_a_teacher_of_other_classes_is_an_obstacle(kdzoo, teacher: Path, tmp_path: Path) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32), color=(len(split), ord(name[0]), 0)).save(
                tmp_path / "pets" / split / name / "a.png"
            )
    call = ("distill", "--recipe", "meal_v2", "--student", "cifar_resnet8", "--data", "pets", "--device", "cpu")
    seen = kdzoo(*call, "--teacher", str(teacher), "--batch-size", "1", "--dry-run", "--json")
    assert seen.code == 1, seen.err
    document = json.loads(seen.out)
    assert document["starts"] is False
    assert any("classes" in text for text in document["obstacles"])


def test_recipes(kdzoo) -> None:
    listed = json.loads(kdzoo("recipes", "list", "--format", "json").out)
    names = [row["name"] for row in listed]
    assert {"supervised", "hinton_kd", "meal_v2", "ssld", "xcl_mix", "exrep", "crd"} <= set(names)
    assert json.loads(kdzoo("recipes", "list", "--json").out) == listed
    assert next(row for row in listed if row["name"] == "meal_v2")["students"][0] == "resnet50"
    rows = list(csv.DictReader(io.StringIO(kdzoo("recipes", "list", "--format", "csv").out)))
    assert [row["name"] for row in rows] == names
    assert all(name in kdzoo("recipes", "list").out for name in names)

    shown = kdzoo("recipes", "show", "meal_v2").out
    for word in ("80.67", "§6.1", "Deviations", "Where the sources disagree", "--variant cutmix", "issue 9"):
        assert word in shown
    document = json.loads(kdzoo("recipes", "show", "meal_v2", "--json").out)
    assert document["settings"]["optimizer.lr"] == {"value": 0.01, "citation": "§6.1"}
    assert kdzoo("recipes", "show", "meal").code == 2


def test_recipes_copy_replaces_nothing_unasked(kdzoo) -> None:
    assert kdzoo("recipes", "copy", "meal_v2").out == "meal_v2.yaml\n"
    text = Path("meal_v2.yaml").read_text()
    assert yaml.safe_load(text)["optimizer"]["lr"] == 0.01
    Path("meal_v2.yaml").write_text("mine")
    refused = kdzoo("recipes", "copy", "meal_v2")
    assert (refused.code, Path("meal_v2.yaml").read_text()) == (1, "mine")
    assert "--force" in refused.err
    assert kdzoo("recipes", "copy", "meal_v2", "--force").code == 0
    assert Path("meal_v2.yaml").read_text() == text
    assert kdzoo("recipes", "copy", "meal_v2", "nowhere/x.yaml").code == 1
    assert kdzoo("recipes", "copy", "meal_v2", ".").code == 1
    assert os.listdir() == ["meal_v2.yaml"]
    edited = Path("mine.yaml")
    edited.write_text(text.replace("lr: 0.01 ", "lr: 0.03 ", 1))
    shown = json.loads(kdzoo("recipes", "show", "mine.yaml", "--json").out)
    assert shown["settings"]["optimizer.lr"]["value"] == 0.03


def test_models(kdzoo) -> None:
    rows = json.loads(kdzoo("models", "list", "cifar_resnet", "--all", "--format", "json").out)
    assert {"cifar_resnet8", "cifar_resnet110"} <= {row["name"] for row in rows}
    assert all(row["params_m"] > 0 for row in rows)
    table = kdzoo("models", "list", "cifar_resnet8", "--all").out.splitlines()
    assert any(line.split()[:1] == ["cifar_resnet8"] for line in table)
    shown = json.loads(kdzoo("models", "show", "resnet18", "--json").out)
    assert shown["params"] == 11_689_512
    assert shown["reference"].startswith("resnet18.")
    assert "pinned" in kdzoo("models", "show", "resnet18").out
    wrong = kdzoo("models", "show", "resnet19")
    assert (wrong.code, wrong.out) == (1, "")
    assert "resnet18" in wrong.err
    assert kdzoo("models", "list", "nothing_like_it").code == 0


def test_data_check(kdzoo, tmp_path: Path) -> None:
    seen = kdzoo("data", "check", "digits", "--workers", "0", "--json")
    assert seen.code == 0
    assert json.loads(seen.out)["ok"] is True
    assert "1437 in 10" in kdzoo("data", "check", "digits", "--workers", "0").out

    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        (tmp_path / "set" / "val" / name).mkdir(parents=True)
        for split in ("train", "val"):
            Image.new("RGB", (8, 8), color=(ord(name), 0, 9 if split == "val" else 0)).save(
                tmp_path / "set" / split / name / "x.png"
            )
    (tmp_path / "set" / "train" / "a" / "broken.jpg").write_bytes(b"not an image")
    broken = kdzoo("data", "check", "set", "--workers", "0")
    assert broken.code == 1
    assert "unreadable: train: a/broken.jpg: " in broken.out
    assert broken.out.splitlines()[-1] == "not ok"


def test_doctor(kdzoo, monkeypatch) -> None:
    well = kdzoo("doctor", "--json")
    assert well.code == 0
    document = json.loads(well.out)
    assert document["ok"] is True
    assert {"check": "torchvision operators", "status": "ok", "found": "nms kept [0]", "hint": ""} in document[
        "findings"
    ]
    assert kdzoo("doctor").out.splitlines()[-1] == "everything needed is there"
    monkeypatch.setenv("KDZOO_DATA", "/nowhere/at/all")
    ill = kdzoo("doctor")
    assert ill.code == 1
    assert "problem  KDZOO_DATA" in ill.out
    assert ill.out.splitlines()[-1] == "1 problem"


def test_comma_lists_of_data() -> None:
    assert _specs(("digits,cifar10", "digits", " imagenet:/x ,")) == ["digits", "cifar10", "imagenet:/x"]
    Path("a,b").mkdir()
    assert _specs(("a,b",)) == ["a,b"]


def test_the_command_that_goes_on() -> None:
    line = resume_command(["/x/kdzoo", "train", "--model", "a b"], None, Path("runs/auto"))
    assert line == "kdzoo train --model 'a b' --out runs/auto --resume"
    line = resume_command(["kdzoo", "train", "--out", "r", "--resume"], "r", Path("r"))
    assert line == "kdzoo train --out r --resume"


@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """SIGINT to a real training process; the printed command, run as printed, finishes the run."""
    arguments = [*TRAIN, "--epochs", "40", "--out", "interrupted"]
    child = subprocess.Popen([sys.executable, "-m", "kdzoo", *arguments], stderr=subprocess.PIPE, text=True)
    metrics = Path("interrupted/metrics.jsonl")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (metrics.exists() and metrics.stat().st_size):
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "Traceback" not in err
    line = next(line for line in err.splitlines() if line.startswith("to go on: "))
    assert line == f"to go on: kdzoo {' '.join(arguments)} --resume"
    assert list(Path("interrupted/checkpoints").glob("*.safetensors"))
    resumed = subprocess.Popen(
        [sys.executable, "-m", "kdzoo", *line.split()[4:]], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert resumed.stderr is not None
    seen = ""
    for text in resumed.stderr:
        seen = text
        if "resuming" in text:
            break
    resumed.kill()
    resumed.communicate()
    assert "resuming after step" in seen


@pytest.mark.slow
def test_the_demo_tells_its_story(process, tmp_path: Path) -> None:
    seen = process("demo", "--quick", "--out", "demo", "--json")
    assert seen.code == 0, seen.err
    document = json.loads(seen.out)
    roles = [row["role"] for row in document["models"]]
    assert roles == ["teacher", "teacher", "ensemble", "baseline", "reference", "student"]
    assert Path(document["report"]).is_file()
    again = process("demo", "--quick", "--out", "demo")
    assert again.code == 0
    assert "Ensemble of the teachers" in again.out
    assert "nothing else" in again.out
    shutil.rmtree("demo")
