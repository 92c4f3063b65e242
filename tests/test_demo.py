import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kdzoo.base.errors import RunError
from kdzoo.demo import (
    BATCH_SIZE,
    DISTILLED,
    EPOCHS_OF_LABELS,
    ON_LABELS,
    QUICK,
    SHARED,
    SOFT_LABELS,
    STUDENT,
    run_demo,
)

QUICKLY = (
    "import sys, torch; from kdzoo.demo import run_demo; from kdzoo.base.errors import KdzooError\n"
    "try:\n"
    "    result = run_demo(sys.argv[1], draws=2, epochs=1)\n"
    "except KdzooError as error:\n"
    "    print(error, error.hint, file=sys.stderr); sys.exit(error.exit_code)\n"
    "import json; print(json.dumps(result.to_dict())); print(result.table())\n"
)


DRAWS = ("draw-1", "draw-2")


def start(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", QUICKLY, str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_demo_stops_at_a_signal_goes_on_and_shows_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    first = start(out)
    deadline = time.monotonic() + 600
    while not (out / "draw-1" / "teacher-cifar_wrn_16_1" / "config.json").exists():
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    printed, said = first.communicate(timeout=300)
    assert first.returncode == 130, said
    assert "run the same command again" in said
    assert printed == ""
    kept = (out / "draw-1" / "teacher-cifar_resnet14" / "model" / "model.safetensors").read_bytes()

    second = start(out)
    printed, said = second.communicate(timeout=1200)
    assert second.returncode == 0, said
    assert (out / "draw-1" / "teacher-cifar_resnet14" / "model" / "model.safetensors").read_bytes() == kept
    document, _, table = printed.partition("\n")
    result: dict[str, Any] = json.loads(document)
    roles = ["teacher", "teacher", "ensemble", "baseline", "reference", "student"]
    assert [model["role"] for model in result["models"]] == roles
    for model in result["models"]:
        assert model["num_images"] == 2 * 727
        assert f"{model['top1']:.2f}" in table
        if model["run"]:  # what the runs themselves measured, but for an image that another batch rounds
            own = [json.loads((Path(model["run"].replace("draw-1", d)) / "result.json").read_text()) for d in DRAWS]
            assert sum(one["top1"] for one in own) / 2 == pytest.approx(model["top1"], abs=0.2)
            assert {one["steps"] for one in own} == {30}
            assert (Path(model["run"]) / "report.html").exists()
    ensemble = result["models"][2]
    assert ensemble["parameters"] == sum(model["parameters"] for model in result["models"][:2])
    gain, rows = result["gain"], {model["name"]: model["top1"] for model in result["models"]}
    assert [draw["name"] for draw in gain["draws"]] == ["digits@few-0", "digits@few-1"]
    assert gain["mean"] == pytest.approx(rows[DISTILLED] - rows[ON_LABELS])

    page = (out / "report.html").read_text()
    assert result["verdict"] in page.replace("&#39;", "'")
    assert page.index("Distilled against labels") < page.index("Why: ") < page.index("Held equal: ") < page.index("<h2")
    assert all(
        f"kdzoo {verb}" in page for verb in ("train --model", "distill --student", "eval runs/student", "predict")
    )
    assert page.count("data:image/png;base64,") >= 8
    assert not re.search(r"(src|href)=\"?(https?:)?//", page)
    differing = set(re.findall(r"<code>([\w.]+)</code>", page.split("settings differ")[1]))
    assert {"data.unlabeled", "objective.temperature", "training.epochs"} <= differing
    allowed = ("objective.", "teachers.", "data.unlabeled", "training.epochs", "training.evaluate_every_epochs")
    assert all(name.startswith(allowed) for name in differing), differing
    saved = json.loads((out / "demo.json").read_text())
    assert saved["models"] == result["models"]

    with pytest.raises(RunError, match="other settings"):
        run_demo(out, seed=1, draws=2, epochs=1)


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="holds no demo"):
        run_demo(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_both_students_share_every_setting_and_take_as_many_steps() -> None:
    from kdzoo.base.settings import Given
    from kdzoo.planning.resolution import resolve

    few = {**SHARED, "student.model": STUDENT, "data.dataset": "digits@few-0", "training.epochs": EPOCHS_OF_LABELS}
    soft = {**few, **SOFT_LABELS, "data.unlabeled": "digits@few-0", "training.epochs": 1}
    given = [{name: Given(value, "kdzoo demo") for name, value in one.items()} for one in (few, soft)]
    on_labels, distilled = (resolve(recipe, given=one) for recipe, one in zip(("supervised", "hinton_kd"), given))
    allowed = (
        "objective.",
        "teachers.",
        "training.epochs",
        "data.unlabeled",
        "student.init",
    )  # the last is given a run
    settings = on_labels.settings(), distilled.settings()
    assert [n for n in settings[0] if not n.startswith(allowed) and settings[0][n] != settings[1][n]] == []
    steps = [plan.facts.num_images // BATCH_SIZE * plan.recipe.training.epochs for plan in (on_labels, distilled)]
    assert steps == [30, 30]
    assert not distilled.recipe.objective.uses_labels
    assert ON_LABELS != DISTILLED


def test_a_single_draw_claims_nothing() -> None:
    assert "mean nothing" in QUICK
