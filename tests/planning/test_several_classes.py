"""Runs on images that show several classes: digits that are even, prime, greater than 4, all of them, or none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import kdzoo
from kdzoo.base.errors import UsageError
from kdzoo.base.settings import Given
from kdzoo.cli.main import main
from kdzoo.data import open_source
from kdzoo.engine.metrics.precision import chance_precision
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve

if TYPE_CHECKING:
    from fork_server import ForkServer

ENGINE = Path(__file__).parents[1] / "engine"
KINDS: dict[str, Callable[[int], bool]] = {
    "even": lambda digit: digit % 2 == 0,
    "greater than 4": lambda digit: digit > 4,
    "prime": lambda digit: digit in (2, 3, 5, 7),
}
SHORT = ("--epochs", "6", "--batch-size", "32", "--image-size", "16", "--workers", "0", "--device", "cpu")
SMALL = (*SHORT, "--set", "optimizer.lr=0.05")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos.csv with 480 training and 120 held-out scans."""
    root = tmp_path_factory.mktemp("several")
    with open(root / "photos.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "labels", "split"])
        for split, count in (("train", 480), ("val", 120)):
            source = open_source("digits", split)
            for index in range(count):
                name, digit = f"{split}{index}.png", int(source.labels[index])
                source.load(index).save(root / name)
                table.writerow([name, ";".join(kind for kind, holds in KINDS.items() if holds(digit)), split])
    return root / "photos.csv"


def plan(recipe: str, data: str | Path, **given: object) -> Plan:
    values = {"student.model": "cifar_resnet8", "data.dataset": str(data), **given}
    if recipe in ("function_matching", "hinton_kd"):
        values["teachers.models"] = ("resnet50.a1_in1k",)
    return resolve(recipe, given={name: Given(value, "--flag") for name, value in values.items()})


def test_the_defaults_learn_each_class_by_itself(digits: Path) -> None:
    for recipe in ("from_scratch", "finetune", "function_matching"):
        made = plan(recipe, digits)
        objective = made.recipe.objective
        assert (objective.task, objective.probabilities) == ("multilabel", "sigmoid")
        assert made.sources["objective.probabilities"] == "data: an image may show several classes"
        assert not any("objective.class_weights" in note for note in made.notes)
        assert getattr(objective, "label_smoothing", 0.0) == 0.0
        assert plan(recipe, "digits").recipe.objective.task == "classification"
        assert made.facts.class_sizes is not None
        assert made.facts.class_sizes[0] > 100


def test_what_learns_one_class_says_how_to_learn_several(digits: Path) -> None:
    for recipe in ("supervised", "hinton_kd"):
        with pytest.raises(UsageError, match=r"needs data with one class an image, .* has several") as caught:
            plan(recipe, digits)
        assert caught.value.hint == "--set objective.probabilities=sigmoid"
        assert plan(recipe, digits, **{"objective.probabilities": "sigmoid"}).recipe.objective.task == "multilabel"
        with pytest.raises(UsageError, match="needs data with several classes an image, digits has one"):
            plan(recipe, "digits", **{"objective.probabilities": "sigmoid"})
    with pytest.raises(UsageError, match="needs data with one class an image") as caught:
        plan("ae_kd", digits, **{"teachers.models": ("resnet50.a1_in1k", "resnet18.a1_in1k")})
    assert "leave --recipe out" in str(caught.value.hint)
    with pytest.raises(UsageError, match="needs data with numbers to predict"):
        plan("gaze", digits)


def call(*arguments: object, code: int = 0) -> None:
    assert main([str(one) for one in arguments]) == code


@pytest.mark.slow
@pytest.mark.numeric
def test_teacher_and_student_beat_the_same_answer_and_every_number_agrees(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call("train", "--model", "cifar_resnet8", "--data", digits, "--out", "teacher", *SMALL)
    said = capsys.readouterr().out
    assert "mAP" in said
    assert "top-1" not in said
    labelled = (*SHORT, "--set", "student.model=cifar_resnet8")
    call("label", "--teacher", "teacher", "--data", digits, "--out", "labels", "--form", "top2", *labelled, code=2)
    call("label", "--teacher", "teacher", "--data", digits, "--out", "labels", *labelled)
    call("distill", "--student", "cifar_resnet8", "--teacher", "teacher", "--data", digits, "--out", "live", *SMALL)
    call("distill", "--student", "cifar_resnet8", "--labels", "labels", "--data", digits, "--out", "stored", *SMALL)
    assert Path("live/model/model.safetensors").read_bytes() == Path("stored/model/model.safetensors").read_bytes()

    held_out = open_source(str(digits), "val")
    assert held_out.targets is not None
    chance, positive = chance_precision(held_out.targets), held_out.targets == 1
    files = [str(digits.parent / held_out.identity(row)) for row in range(len(held_out))]
    call("export", "live", "--format", "onnx", "--out", "live.onnx", "--data", digits, "--int8")
    assert "mAP" in capsys.readouterr().out
    for model in ("teacher", "live", "live.onnx"):
        (result,) = kdzoo.evaluate(model, str(digits), workers=0, device="cpu")
        scores = np.zeros(positive.shape)
        for row, answer in enumerate(kdzoo.predict(model, files, top_k=3, workers=0, device="cpu")):
            for name, share in zip(answer.classes, answer.probabilities, strict=True):
                scores[row, held_out.class_names.index(name)] = share
        precisions = [100 * average_precision_score(positive[:, one], scores[:, one]) for one in range(3)]
        assert result.metrics["mAP"] == pytest.approx(np.mean(precisions), abs=1e-3)
        assert result.document.per_class[0].values == pytest.approx(precisions, abs=1e-3)
        assert result.metrics["mAP"] > chance + 20  # 45 % by the same answer to all; these digits are nearly separable
        if model != "live.onnx":
            recorded = json.loads(Path(model, "result.json").read_text())
            assert result.metrics["mAP"] == pytest.approx(recorded["mAP"], abs=1e-3)
            assert result.metrics["loss"] == pytest.approx(recorded["loss"], abs=1e-4)
            assert result.difference == pytest.approx(0, abs=1e-3)
    sure = list(kdzoo.predict("live", files[:20], score_threshold=0.5, workers=0, device="cpu"))
    assert {len(answer.classes) for answer in sure} >= {1, 2}
    assert all(share >= 0.5 for answer in sure for share in answer.probabilities)
    call("eval", "live", "--on", digits, "--teacher", "teacher", "--workers", "0", "--device", "cpu")
    assert "kl_to_teacher" in capsys.readouterr().out.replace("KL", "kl_to_teacher")
    call("report", "live")
    assert "the student has an mAP of" in Path("live/report.html").read_text()
    call("compare", "teacher", "live")
    assert "mAP" in capsys.readouterr().out
    call("eval", "live", "--on", "digits", "--workers", "0", code=1)  # other classes


@pytest.mark.slow
@pytest.mark.numeric
def test_kills_change_nothing(digits: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    given = {
        "student.model": "cifar_resnet8",
        "run.workers": 0,
        "run.device": "cpu",
        "data.dataset": str(digits),
        "data.mixing.mixup_prob": 1.0,
        "data.augmentation.image_size": 16,
        "training.epochs": 2,
        "training.batch_size": 64,
        "training.checkpoint_every_steps": 3,
    }
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"recipe": "from_scratch", "variants": [], "given": given}))
    places = ("step:2", "checkpoint_half_written:1", "evaluation:1")
    ended = fork_server.run(ENGINE / "kill_program.py", tmp_path / "killed", 0, *places, f"--plan={file}")
    assert ended.stdout.splitlines() == [*(f"{place} signal 9" for place in places), "end exit 0"], ended.stderr[-2000:]
    fork_server.run(ENGINE / "kill_program.py", tmp_path / "whole", 0, f"--plan={file}")
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    metrics = (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert '"mAP"' in metrics
