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
from kdzoo.demo import DISTILLED, ON_LABELS, SHARED, run_demo

ONE_EPOCH = (
    "import sys, torch; from kdzoo.demo import run_demo; from kdzoo.base.errors import KdzooError\n"
    "try:\n"
    "    result = run_demo(sys.argv[1], teacher_epochs=1, student_epochs=1)\n"
    "except KdzooError as error:\n"
    "    print(error, error.hint, file=sys.stderr); sys.exit(error.exit_code)\n"
    "import json; print(json.dumps(result.to_dict())); print(result.table())\n"
)


def start(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ONE_EPOCH, str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_demo_stops_at_a_signal_goes_on_and_shows_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    first = start(out)
    deadline = time.monotonic() + 600
    while not (out / "teacher-cifar_wrn_16_1" / "config.json").exists():
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    printed, said = first.communicate(timeout=300)
    assert first.returncode == 130, said
    assert "run the same command again" in said
    assert printed == ""
    kept = (out / "teacher-cifar_resnet14" / "model" / "model.safetensors").read_bytes()

    second = start(out)
    printed, said = second.communicate(timeout=1200)
    assert second.returncode == 0, said
    assert (out / "teacher-cifar_resnet14" / "model" / "model.safetensors").read_bytes() == kept
    document, _, table = printed.partition("\n")
    result: dict[str, Any] = json.loads(document)
    assert [model["role"] for model in result["models"]] == ["teacher", "teacher", "ensemble", "baseline", "student"]
    for model in result["models"]:
        assert model["num_images"] == 360
        if model["run"]:  # what the run itself measured, but for one image that another batch rounds
            own = json.loads((Path(model["run"]) / "result.json").read_text())
            assert (model["top1"], model["num_images"]) == (pytest.approx(own["top1"], abs=0.3), own["num_images"])
            assert (Path(model["run"]) / "report.html").exists()
            assert f"{model['top1']:.2f}" in table
    ensemble = result["models"][2]
    assert ensemble["parameters"] == sum(model["parameters"] for model in result["models"][:2])

    page = (out / "report.html").read_text()
    assert result["verdict"] in page.replace("&#39;", "'")
    assert page.count('<svg viewBox="0 0 360') == 4
    assert page.count("data:image/png;base64,") >= 8
    assert not re.search(r"(src|href)=\"?(https?:)?//", page)
    differing = set(re.findall(r"<code>([\w.]+)</code>", page.split("settings differ")[1]))
    assert differing
    assert all(name.startswith(("objective.", "teachers.")) for name in differing), differing
    saved = json.loads((out / "demo.json").read_text())
    assert saved["models"] == result["models"]

    with pytest.raises(RunError, match="other settings"):
        run_demo(out, seed=1, teacher_epochs=1, student_epochs=1)


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="holds no demo"):
        run_demo(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_both_students_share_every_setting_that_the_demo_sets() -> None:
    from kdzoo.base.settings import Given
    from kdzoo.planning.resolution import resolve

    given = {name: Given(value, "kdzoo demo") for name, value in {**SHARED, "student.model": "cifar_resnet8"}.items()}
    on_labels, distilled = (resolve(recipe, given=given).settings() for recipe in ("supervised", "meal_v2"))
    allowed = ("objective.", "teachers.", "training.epochs", "student.init")  # the last two are given a run
    differing = [name for name in on_labels if not name.startswith(allowed) and on_labels[name] != distilled[name]]
    assert differing == []
    assert ON_LABELS != DISTILLED
